"""A recording and what a system made of it."""

import soxr
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from wavegrad.errors import AudioError

TOLERANCE_S = 0.05
"""Lengths may differ by this much, seconds; the longer one is cut."""
SHORTEST_S = 0.1
"""No metric judges less, seconds; some need more and say so."""


def aligned(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Both on the CPU, cut to the shorter length.

    Raises:
        AudioError: the lengths differ by more than TOLERANCE_S or are below SHORTEST_S; a sample is not finite, or all
            are zero.
    """
    if abs(len(reference) - len(generated)) > TOLERANCE_S * sample_rate:
        raise AudioError(
            f"{len(generated)} samples were generated for {len(reference)}; more than {TOLERANCE_S} s of difference"
        )
    n = min(len(reference), len(generated))
    if n < SHORTEST_S * sample_rate:
        raise AudioError(f"{n} samples are {n / sample_rate:.3g} s; metrics need at least {SHORTEST_S} s")
    return _sounding(reference[:n], "reference"), _sounding(generated[:n], "generated audio")


def _sounding(waveform: Float[Tensor, " n"], name: str) -> Float[Tensor, " n"]:
    waveform = waveform.detach().cpu()
    n_bad = int((~waveform.isfinite()).sum())
    if n_bad:
        raise AudioError(f"{n_bad} of the {len(waveform)} samples of the {name} are not finite")
    if not waveform.any():
        raise AudioError(f"the {name} is silent: each of its {len(waveform)} samples is 0")
    return waveform


def resampled(waveform: Float[Tensor, " n"], sample_rate: int, wanted: int) -> Float32[ndarray, " m"]:
    """At another rate, band-limited (soxr VHQ)."""
    return soxr.resample(waveform.float().cpu().numpy(), sample_rate, wanted, quality="VHQ")
