"""Where schedules are searched: falling noise levels, in dB of signal-to-noise ratio."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError

TOLERANCE = 1e-6
"""dB: levels that went through betas come back with a rounding error."""


def level_of_db(db: float) -> float:
    """sqrt(alpha_bar) at which 10 log10(alpha_bar / (1 - alpha_bar)) is `db`."""
    return (1 / (1 + 10 ** (-db / 10))) ** 0.5


def db_of_level(level: float) -> float:
    """Undo `level_of_db`."""
    return 10 * math.log10(level**2 / (1 - level**2))


@dataclass(frozen=True)
class SearchSpace:
    """All schedules of N steps whose levels fall, l_1 the cleanest, with bounds and a smallest gap."""

    n_steps: int
    """N."""
    highest_db: float = 60.0
    """No level is cleaner than this, dB."""
    lowest_db: float = -30.0
    """No level is noisier, dB."""
    gap_db: float = 0.5
    """Neighbouring levels are at least this far apart, dB."""
    largest_terminal_db: float = -6.0
    """Level N is at least this noisy, dB: above that, pure noise is no start (-6 dB is sqrt(alpha_bar_N) = 0.45)."""
    smallest_first_db: float = -math.inf
    """Level 1 is at least this clean, dB, where there is more than one: the last step leaves the error of a prediction
    made at it, and a bound alone stops far too early for the ear."""

    def __post_init__(self) -> None:
        if self.n_steps < 1:
            raise ConfigError(f"n_steps is {self.n_steps}; it must be 1 or more")
        if not self.gap_db > 0:
            raise ConfigError(f"gap_db is {self.gap_db}; it must be above 0")
        if not self.lowest_db <= self.largest_terminal_db <= self.highest_db:
            raise ConfigError(
                f"largest_terminal_db is {self.largest_terminal_db}; it must lie between lowest_db = {self.lowest_db} "
                f"and highest_db = {self.highest_db}"
            )
        if self.smallest_first_db > self.highest_db:
            raise ConfigError(
                f"smallest_first_db is {self.smallest_first_db}; it must be at most highest_db = {self.highest_db}"
            )
        if (self.n_steps - 1) * self.gap_db > self.highest_db - self.lowest_db:
            raise ConfigError(
                f"{self.n_steps} steps at least {self.gap_db} dB apart do not fit between {self.lowest_db} and "
                f"{self.highest_db} dB; make gap_db smaller"
            )

    def range_of(self, n: int, db: Sequence[float]) -> tuple[float, float]:
        """Lowest and highest dB that level n, 1 ... N, may take while the others stay where they are."""
        low = db[n] + self.gap_db if n < self.n_steps else self.lowest_db
        high = db[n - 2] - self.gap_db if n > 1 else self.highest_db
        if n == 1 < self.n_steps:
            low = max(low, self.smallest_first_db)
        return low, min(high, self.largest_terminal_db) if n == self.n_steps else high

    def allows(self, n: int, db: float) -> bool:
        """Whether level n may be `db`, whatever the others are."""
        if n == self.n_steps and db > self.largest_terminal_db + TOLERANCE:
            return False
        if n == 1 < self.n_steps and db < self.smallest_first_db - TOLERANCE:
            return False
        return self.lowest_db - TOLERANCE <= db <= self.highest_db + TOLERANCE

    def decode(self, unit: Sequence[float]) -> tuple[float, ...]:
        """Any N numbers in [0, 1] -> N levels in dB that obey all constraints: they are sorted, then spread out."""
        falling = sorted(unit, reverse=True)
        gaps = (self.n_steps - 1) * self.gap_db
        free = self.highest_db - self.lowest_db - gaps
        db = [self.lowest_db + (self.n_steps - 1 - i) * self.gap_db + free * u for i, u in enumerate(falling)]
        if self.n_steps > 1:
            db[0] = max(db[0], self.smallest_first_db)
        db[-1] = min(db[-1], self.largest_terminal_db)
        return tuple(db)

    def encode(self, db: Sequence[float]) -> tuple[float, ...]:
        """Undo `decode`; what lies outside the space is moved to its edge."""
        free = self.highest_db - self.lowest_db - (self.n_steps - 1) * self.gap_db
        floors = [self.lowest_db + (self.n_steps - 1 - i) * self.gap_db for i in range(self.n_steps)]
        if free <= 0:
            return (0.0,) * self.n_steps
        return tuple(min(1.0, max(0.0, (value - floor) / free)) for value, floor in zip(db, floors, strict=True))

    def contains(self, db: Sequence[float]) -> bool:
        """Whether levels of these dB obey all constraints."""
        gaps = [a - b for a, b in itertools.pairwise(db)]
        return (
            len(db) == self.n_steps
            and all(self.allows(n, value) for n, value in enumerate(db, start=1))
            and all(gap >= self.gap_db - TOLERANCE for gap in gaps)
        )

    def schedule(self, db: Sequence[float], name: str = "candidate") -> NoiseSchedule:
        """The schedule of these levels, in dB, cleanest first."""
        return NoiseSchedule.from_noise_levels([level_of_db(value) for value in db], name)


def schedule_db(schedule: NoiseSchedule) -> tuple[float, ...]:
    """Levels 1 ... N of a schedule, dB."""
    return tuple(db_of_level(level) for level in schedule.noise_levels.tolist()[1:])
