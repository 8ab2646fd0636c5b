"""Log-mel distance."""

import math
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.audio.presets import mel_preset
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import aligned

DB_PER_NEPER = 20 / math.log(10)


def log_mel_distance(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Mean absolute difference of the log-mel spectrograms in dB (LS-MAE of WaveGrad, sec. 4.3, which leaves the unit
    open).

    The mel is that of `wavegrad-24k`; at another rate its window, hop and band edges keep their durations and shares
    of it.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
    """
    reference, generated = aligned(reference, generated, sample_rate)
    mel = MelSpectrogram(mel_convention(sample_rate))
    difference = mel(reference[None]) - mel(generated[None])
    return difference.abs().mean().item() * DB_PER_NEPER


def mel_convention(sample_rate: int) -> MelConfig:
    """The mel that metrics look at: `wavegrad-24k`, brought to this rate."""
    base = mel_preset("wavegrad-24k")
    if sample_rate == base.sample_rate:
        return base
    ratio = sample_rate / base.sample_rate
    n_fft = 2 ** math.ceil(math.log2(base.n_fft * ratio))
    return replace(
        base,
        sample_rate=sample_rate,
        n_fft=n_fft,
        win_length=round(base.win_length * ratio),
        hop_length=round(base.hop_length * ratio),
        f_max=sample_rate / 2,
    )


LOG_MEL = Metric(
    key="log_mel_db",
    heading="log-mel distance",
    unit="dB",
    digits=2,
    better="lower",
    source="LS-MAE of Chen et al. 2020 (WaveGrad), sec. 4.3",
    sample_rate=None,
    compute=log_mel_distance,
)
