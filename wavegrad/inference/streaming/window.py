"""Which part of its signal each item of a batch is at."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from wavegrad.inference.streaming.memory import Workspace


@dataclass(frozen=True, eq=False)
class Window:
    """The frames that a call works on: equally many of each item, which may be at different places of their signals.

    A layer of `rate` values a frame that is `lag` values late works on positions first * rate - lag to
    (first + n_frames) * rate - lag - 1. They may lie outside the signal: what is there does not matter, and whatever
    reads beyond its own position takes zeros for it.
    """

    firsts: tuple[int, ...]
    """Of each item; before 0 lies no signal."""
    n_frames: int
    end: int | None = None
    """Frames of the signals, where that is known."""
    workspace: Workspace = field(default_factory=Workspace)
    """Of the stream."""

    def cut(self, begin: int, stop: int) -> "Window":
        """Its frames `begin` to `stop` - 1."""
        return replace(self, firsts=tuple(first + begin for first in self.firsts), n_frames=stop - begin)

    @cached_property
    def lowest(self) -> int:
        """First frame of the item that is farthest behind."""
        return min(self.firsts)

    @cached_property
    def highest(self) -> int:
        """First frame of the item that is farthest ahead."""
        return max(self.firsts)

    def is_inside(self, rate: int, lag: int) -> bool:
        """Whether all positions lie in the signals."""
        begins = self.lowest * rate >= lag
        return begins and (self.end is None or (self.highest + self.n_frames - self.end) * rate <= lag)

    def positions(self, rate: int, lag: int, device: torch.device) -> Int64[Tensor, "time batch"]:
        """Of each value."""
        firsts = torch.tensor(self.firsts, device=device) * rate - lag
        return torch.arange(self.n_frames * rate, device=device)[:, None] + firsts

    def inside(self, rate: int, lag: int, device: torch.device) -> Bool[Tensor, "time batch"]:
        """Which positions lie in the signals."""
        positions = self.positions(rate, lag, device)
        begun = positions >= 0
        return begun if self.end is None else begun & (positions < self.end * rate)
