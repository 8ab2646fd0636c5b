"""Multi-resolution STFT distance."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import aligned
from wavegrad.evaluation.spectrum import magnitudes, scaled

DEFINED_AT = 24000
"""Hz: the rate of Parallel WaveGAN's table 1."""
RESOLUTIONS = ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240))
"""FFT points, hop and window in samples at DEFINED_AT (table 1)."""
FLOOR = 1e-4
"""Magnitudes below it count as it; the paper leaves this open, auraloss (which BigVGAN uses) has this value."""


def multi_resolution_stft(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Spectral convergence plus L1 of the log magnitudes, mean over three resolutions (Yamamoto et al. 2020, Parallel
    WaveGAN, eqs. 4 to 6 and table 1; M-STFT in table 1 of BigVGAN, Lee et al. 2023).

    At another rate the windows and hops keep their durations, and the transforms the next power of two; BigVGAN keeps
    the samples, which is the same at 24 kHz.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
    """
    reference, generated = aligned(reference, generated, sample_rate)
    total = 0.0
    for resolution in RESOLUTIONS:
        n_fft, hop_length, win_length = (scaled(n, sample_rate, DEFINED_AT) for n in resolution)
        n_fft = 1 << (n_fft - 1).bit_length()
        wanted, got = (magnitudes(x, n_fft, hop_length, win_length).clamp(min=FLOOR) for x in (reference, generated))
        convergence = (wanted - got).norm() / wanted.norm()
        total += (convergence + (wanted.log() - got.log()).abs().mean()).item()
    return total / len(RESOLUTIONS)


MRSTFT = Metric(
    key="mrstft",
    heading="M-STFT",
    unit="",
    digits=3,
    better="lower",
    source="Yamamoto et al. 2020 (Parallel WaveGAN), eqs. 4 to 6; as in BigVGAN",
    sample_rate=None,
    compute=multi_resolution_stft,
)
