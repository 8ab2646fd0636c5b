"""The losses by noise level that dynamic programming needs, measured by the pool of a search."""

from collections.abc import Sequence
from dataclasses import dataclass

from wavegrad.search.evaluator import Task
from wavegrad.search.journal import Journal
from wavegrad.search.space import level_of_db
from wavegrad.search.workers import Pool

BATCH = 8


@dataclass(frozen=True)
class LossTable:
    """Mean square error of the predicted noise, mean over the clips."""

    levels: tuple[float, ...]
    """sqrt(alpha_bar), falling."""
    losses: tuple[float, ...]
    calls: int
    """Items that went through the network."""


def evenly_spaced_levels(n_levels: int, highest_db: float, lowest_db: float) -> tuple[float, ...]:
    """In dB of signal-to-noise ratio, falling."""
    width = (highest_db - lowest_db) / max(1, n_levels - 1)
    return tuple(level_of_db(highest_db - i * width) for i in range(n_levels))


def measure_losses(levels: Sequence[float], n_clips: int, pool: Pool, journal: Journal) -> LossTable:
    """One network call for each level and clip; the pool's setup has the objective LOSS."""
    betas = [(1 - level**2,) for level in levels]
    batches = [tuple(betas[i : i + BATCH]) for i in range(0, len(betas), BATCH)]
    tasks = [[Task(batch, clip) for clip in range(n_clips)] for batch in batches]
    flat = [task for row in tasks for task in row]
    for task, outcome, seconds in pool.run([task for task in flat if task.key() not in journal.outcomes]):
        journal.add(task.key(), outcome, seconds)
    losses = [
        sum(journal.outcomes[task.key()].scores[i] for task in row) / n_clips
        for batch, row in zip(batches, tasks, strict=True)
        for i in range(len(batch))
    ]
    return LossTable(tuple(levels), tuple(losses), sum(journal.outcomes[task.key()].calls for task in flat))
