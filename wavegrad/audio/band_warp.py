"""Two mels whose bands lie at different frequencies: which scales and ranges would explain it?"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.filterbank import MelScale, band_edges
from wavegrad.audio.presets import MEL_PRESETS

MUCH_BETTER = 0.5
"""A further difference must take this share off what the simpler explanation leaves over."""
MOST_FRAMES = 60
"""About as many are looked at."""
FEWEST_BANDS = 0.5
"""Share of A's bands that must lie inside the range of B."""


@dataclass(frozen=True)
class Bands:
    """Where the bands of a mel lie."""

    scale: MelScale
    f_min: float
    f_max: float

    def changes(self, other: "Bands") -> list[str]:
        """In what they differ."""
        fields = (
            ("mel scale", self.scale, other.scale),
            ("f_min", f"{self.f_min:g} Hz", f"{other.f_min:g} Hz"),
            ("f_max", f"{self.f_max:g} Hz", f"{other.f_max:g} Hz"),
        )
        return [f"{name} {theirs} in B for {ours} in A" for name, ours, theirs in fields if ours != theirs]


@dataclass(frozen=True)
class BandWarp:
    """Which band of B, between two of them, has the frequency of each band of A."""

    where: Float[Tensor, " bands_a"]
    """NaN where B has none."""
    text: str = ""

    @classmethod
    def identity(cls, n: int) -> "BandWarp":
        return cls(torch.arange(n, dtype=torch.float64))

    @property
    def is_identity(self) -> bool:
        return not self.text

    def apply(
        self, a: Float[Tensor, "bands_a frames"], b: Float[Tensor, "bands_b frames"]
    ) -> tuple[Float[Tensor, "bands frames"], Float[Tensor, "bands frames"]]:
        """A and B at the frequencies of A's bands that B has too."""
        inside = self.where.isfinite()
        left = self.where[inside].floor().long().clamp(max=len(b) - 2)
        share = (self.where[inside] - left)[:, None]
        return a[inside], b[left] * (1 - share) + b[left + 1] * share


def find_warp(
    a: Float[Tensor, "bands_a frames"],
    b: Float[Tensor, "bands_b frames"],
    correlation: Callable[[Tensor, Tensor], float],
) -> BandWarp:
    """The simplest explanation that is not much worse than the best one.

    Tried are the two mel scales with the frequency ranges of the presets, in A and in B: equal bands, then those that
    differ in one way, in two, in three.
    """
    some = slice(None, None, max(1, a.shape[1] // MOST_FRAMES))
    best: dict[int, tuple[float, BandWarp]] = {}
    for of_a, of_b in product(_usual_bands(), repeat=2):
        changes = len(of_a.changes(of_b))
        if changes == 0 and 0 in best and len(a) == len(b):
            continue  # equal bands are equal, wherever they lie
        warp = _warp(of_a, of_b, len(a), len(b))
        if warp.where.isfinite().double().mean() < FEWEST_BANDS:
            continue
        left_over = 1 - correlation(*warp.apply(a[:, some], b[:, some]))
        if changes not in best or left_over < best[changes][0]:
            best[changes] = (left_over, warp)
    chosen = best[0]
    for changes in sorted(best)[1:]:
        if best[changes][0] < MUCH_BETTER * chosen[0]:
            chosen = best[changes]
    return chosen[1]


def _usual_bands() -> list[Bands]:
    ranges = dict.fromkeys((p.config.f_min, p.config.f_max) for p in MEL_PRESETS.values())
    return [Bands(scale, low, high) for scale in ("slaney", "htk") for low, high in ranges]


def _warp(of_a: Bands, of_b: Bands, n_a: int, n_b: int) -> BandWarp:
    if of_a == of_b and n_a == n_b:
        return BandWarp.identity(n_a)
    centres_a, centres_b = (
        band_edges(n, bands.f_min, bands.f_max, bands.scale)[1:-1] for bands, n in ((of_a, n_a), (of_b, n_b))
    )
    right = torch.searchsorted(centres_b, centres_a).clamp(1, n_b - 1)
    below, above = centres_b[right - 1], centres_b[right]
    where = right - 1 + (centres_a - below) / (above - below)
    where = where.where((where >= -0.5) & (where <= n_b - 0.5), torch.nan).clamp(0, n_b - 1)
    text = f"mel bands: they lie elsewhere, as of {', '.join(of_a.changes(of_b))}" if of_a != of_b else ""
    return BandWarp(where, text)
