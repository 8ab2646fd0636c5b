"""Mel cepstra: the shape of the spectral envelope in a few numbers."""

import math

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from wavegrad.audio.mel import MelSpectrogram
from wavegrad.evaluation.log_mel import mel_convention

N_COEFFICIENTS = 13
"""c_1 to c_13; c_0, the level, is left out (Kubichek 1993)."""
DB_PER_CEPSTRUM = 10 / math.log(10) * math.sqrt(2)


def mel_cepstra(waveform: Float[Tensor, " n"], sample_rate: int) -> Float64[Tensor, "coefficients frames"]:
    """Cosine transform of the log-mel spectrum (Davis and Mermelstein 1980), as the series log S_k = c_0 + sum_m c_m
    cos(pi m (k + 1/2) / n_mels).

    Scaled like this, and with natural logarithms of amplitudes, DB_PER_CEPSTRUM times the Euclidean distance is, by
    Parseval, the root mean square difference in dB of the two envelopes; WORLD's and SPTK's mel cepstra have the same
    scale. Those need a fitted envelope (and a compiler, or setuptools at run time); these follow from the mel that a
    vocoder is given, need no package, and no decision about voicing.
    """
    log_mel = MelSpectrogram(mel_convention(sample_rate))(waveform[None])[0].double()
    n_mels = len(log_mel)
    order = torch.arange(1, N_COEFFICIENTS + 1, dtype=torch.float64)[:, None]
    band = torch.arange(n_mels, dtype=torch.float64) + 0.5
    return 2 / n_mels * torch.cos(math.pi / n_mels * order * band) @ log_mel
