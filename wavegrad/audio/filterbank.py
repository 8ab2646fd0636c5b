"""Mel scales and the triangular filters that stand on them."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

MelScale = Literal["htk", "slaney"]
MelNorm = Literal["none", "slaney"]

_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_MELS_PER_NEPER = 27 / math.log(6.4)


def hz_to_mel(hz: float, scale: MelScale) -> float:
    """A frequency on a mel scale.

    "htk": 2595 log10(1 + f / 700) (O'Shaughnessy 1987, the HTK toolkit). "slaney": linear up to 1 kHz and logarithmic
    above (Slaney's Auditory Toolbox, 1998).
    """
    if scale == "htk":
        return 2595 * math.log10(1 + hz / 700)
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return _BREAK_MEL + _MELS_PER_NEPER * math.log(hz / _BREAK_HZ)


def mel_to_hz(mel: Float[Tensor, " points"], scale: MelScale) -> Float[Tensor, " points"]:
    """The inverse of `hz_to_mel`, for many points at once."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    logarithmic = _BREAK_HZ * ((mel - _BREAK_MEL) / _MELS_PER_NEPER).exp()
    return torch.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, logarithmic)


def band_edges(n_mels: int, f_min: float, f_max: float, scale: MelScale) -> Float[Tensor, " edges"]:
    """`n_mels + 2` frequencies in Hz, even on the mel scale; band m rises from edge m to m + 1 and falls to m + 2."""
    mels = torch.linspace(hz_to_mel(f_min, scale), hz_to_mel(f_max, scale), n_mels + 2, dtype=torch.float64)
    return mel_to_hz(mels, scale)


def triangles(
    edges: Float[Tensor, " edges"], frequencies: Float[Tensor, " n_freqs"], norm: MelNorm
) -> Float[Tensor, "n_mels n_freqs"]:
    """Weights of triangular bands at each frequency: of height 1 ("none") or of area 1 Hz ("slaney")."""
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - lower) / (centre - lower)
    falling = (upper - frequencies) / (upper - centre)
    weights = torch.minimum(rising, falling).clamp(min=0)
    return weights * (2 / (upper - lower)) if norm == "slaney" else weights
