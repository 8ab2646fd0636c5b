"""A recording and what a system made of it."""

import soxr
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from wavegrad.errors import AudioError

TOLERANCE_S = 0.05
"""Lengths may differ by this much, seconds; the longer one is cut."""


def aligned(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Both cut to the shorter length.

    Raises:
        AudioError: the lengths differ by more than TOLERANCE_S.
    """
    if abs(len(reference) - len(generated)) > TOLERANCE_S * sample_rate:
        raise AudioError(
            f"{len(generated)} samples were generated for {len(reference)}; more than {TOLERANCE_S} s of difference"
        )
    n = min(len(reference), len(generated))
    return reference[:n], generated[:n]


def resampled(waveform: Float[Tensor, " n"], sample_rate: int, wanted: int) -> Float32[ndarray, " m"]:
    """At another rate, band-limited (soxr VHQ)."""
    return soxr.resample(waveform.float().cpu().numpy(), sample_rate, wanted, quality="VHQ")
