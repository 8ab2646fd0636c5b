"""Mel-cepstral distortion along the best alignment."""

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.cepstrum import DB_PER_CEPSTRUM, mel_cepstra
from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pair import aligned


def warped_mel_cepstral_distortion(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int
) -> float:
    """MCD where each frame may meet an earlier or a later one: mean along the path of dynamic time warping with the
    least sum (Sakoe and Chiba 1978, steps (1,1), (1,0), (0,1) of weight 1; librosa).

    Never above `mel_cepstral_distortion`; well below it, where speech is right but late.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    import librosa

    wanted, got = (mel_cepstra(x, sample_rate).T for x in aligned(reference, generated, sample_rate))
    distances = torch.cdist(
        wanted, got, compute_mode="donot_use_mm_for_euclid_dist"
    ).numpy()  # exact where frames are equal
    path = librosa.sequence.dtw(C=distances)[1]
    return DB_PER_CEPSTRUM * float(distances[path[:, 0], path[:, 1]].mean())


MCD_DTW = Metric(
    key="mcd_dtw_db",
    heading="MCD-DTW",
    unit="dB",
    digits=2,
    better="lower",
    source="Kubichek 1993 along the path of Sakoe and Chiba 1978",
    sample_rate=None,
    compute=warped_mel_cepstral_distortion,
    packages=("librosa",),
    install=EVAL,
)
