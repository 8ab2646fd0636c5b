"""Log-spectral distance."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import aligned
from wavegrad.evaluation.spectrum import magnitudes, scaled

WINDOW_S = 0.032
FLOOR = 1e-5
"""Amplitudes below it count as it, in units of a sine of amplitude 1: -100 dB."""


def log_spectral_distance(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Root mean square over frequency of the difference in dB, mean over frames (Gray and Markel 1976, the L2 norm of
    the log spectra).

    The definition leaves the analysis open; here 32 ms Hann windows every 8 ms, and a floor.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
    """
    reference, generated = aligned(reference, generated, sample_rate)
    win_length = 4 * scaled(1, sample_rate, round(4 / WINDOW_S))
    n_fft = 1 << (win_length - 1).bit_length()
    scale = 4 / win_length  # a sine of amplitude 1 has a quarter of a Hann window's length as its magnitude
    wanted, got = (
        (magnitudes(x, n_fft, win_length // 4, win_length) * scale).clamp(min=FLOOR) for x in (reference, generated)
    )
    return (20 * (wanted / got).log10()).square().mean(0).sqrt().mean().item()


LSD = Metric(
    key="lsd_db",
    heading="log-spectral distance",
    unit="dB",
    digits=2,
    better="lower",
    source="Gray and Markel 1976, L2 norm of the log spectra",
    sample_rate=None,
    compute=log_spectral_distance,
)
