"""Coordinate descent: one noise level after the other."""

from collections.abc import Sequence

from wavegrad.search.space import SearchSpace
from wavegrad.search.trial import Method

OFFSETS = (-1.0, -0.5, 0.5, 1.0)
"""What is tried around a level, in units of the step width."""


def coordinate_method(
    space: SearchSpace, start: Sequence[float], width_db: float = 6.0, smallest_db: float = 0.5
) -> Method:
    """Move one level at a time to where the score is best, from the cleanest to the noisiest, again and again; where a
    whole sweep brings nothing, halve the width.

    The candidates of one round differ in one level, so that they share the network calls of all noisier ones. The best
    is kept only if it is better than what there is: the score never falls.

    Args:
        space: the constraints.
        start: the levels to begin with, dB, inside `space`.
        width_db: farthest move at first.
        smallest_db: the search ends when the width falls below it.
    """
    best = list(start)
    (trial,) = yield [space.schedule(best, "coordinate")]
    score = trial.score
    while width_db >= smallest_db:
        improved = False
        for n in range(1, space.n_steps + 1):
            options = _moves(space, best, n, width_db)
            if not options:
                continue
            trials = yield [space.schedule(option, "coordinate") for option in options]
            for option, trial in zip(options, trials, strict=True):
                if not trial.stopped and trial.score > score:
                    best, score, improved = option, trial.score, True
        if not improved:
            width_db /= 2


def _moves(space: SearchSpace, db: Sequence[float], n: int, width_db: float) -> list[list[float]]:
    low, high = space.range_of(n, db)
    values = {min(high, max(low, db[n - 1] + offset * width_db)) for offset in OFFSETS} - {db[n - 1]}
    return [[*db[: n - 1], value, *db[n:]] for value in sorted(values)]
