"""What the methods and the driver of a search say to each other."""

import math
from collections.abc import Generator
from dataclasses import dataclass

from wavegrad.diffusion import NoiseSchedule


@dataclass(frozen=True)
class Trial:
    """A schedule that was tried."""

    schedule: NoiseSchedule
    scores: tuple[float, ...]
    """One for each clip it was tried on, higher is better; -inf where sampling diverged."""
    stopped: bool = False
    """It was hopeless on the first clips, and was not tried on the others."""

    @property
    def score(self) -> float:
        """Mean over the clips."""
        return sum(self.scores) / len(self.scores) if self.scores else -math.inf


Method = Generator[list[NoiseSchedule], list[Trial], None]
"""A way of searching: it yields rounds of candidates and is sent their trials. What it yields depends on its arguments
and on the trials alone, so that it can be replayed."""
