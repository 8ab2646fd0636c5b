"""The driver of a search."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError, WavegradError
from wavegrad.search.evaluator import Task
from wavegrad.search.journal import Journal
from wavegrad.search.trial import Method, Trial
from wavegrad.search.workers import Pool


@dataclass(frozen=True)
class Budget:
    """When a search ends, besides when its method does."""

    trials: int | None = None
    """Schedules tried at most."""
    minutes: float | None = None
    """Wall time, that of earlier runs included; checked between rounds. Ends a search where the clock says, so that
    only a budget in trials gives the same result everywhere."""

    def __post_init__(self) -> None:
        for name, value in (("trials", self.trials), ("minutes", self.minutes)):
            if value is not None and not value > 0:
                raise ConfigError(f"the budget of {name} is {value}; it must be above 0")


@dataclass(frozen=True)
class SearchOptions:
    """How candidates are judged."""

    n_clips: int
    batch: int = 8
    """Candidates that go through the network together. Part of what the search is: another batch may round another
    way."""
    first_clips: int = 2
    """Clips after which a hopeless candidate is dropped; n_clips or more: never."""

    def __post_init__(self) -> None:
        for name in ("n_clips", "batch", "first_clips"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")


@dataclass(frozen=True)
class Found:
    """The outcome of a search."""

    best: Trial
    trials: tuple[Trial, ...]
    """All, in order."""
    calls: int
    """Items that went through the network."""
    shared: int
    """Items that were spared."""
    seconds: float
    """Wall time, that of earlier runs included."""


def search(
    method: Method,
    pool: Pool,
    journal: Journal,
    options: SearchOptions,
    budget: Budget,
    on_trial: Callable[[int, Trial, Trial], None] | None = None,
) -> Found:
    """Run a method until its end or that of the budget.

    Rounds are fixed by the method, and batches by `options`; neither depends on who computes them or in which order.

    Args:
        method: proposes the candidates.
        pool: computes.
        journal: remembers; what it has is not computed again.
        options: how candidates are judged.
        budget: when to stop.
        on_trial: called with the number of the trial, the trial, and the best so far.

    Raises:
        WavegradError: no candidate could be judged.
    """
    driver = _Driver(pool, journal, options)
    began = time.perf_counter() - journal.seconds
    best: Trial | None = None
    trials: list[Trial] = []
    try:
        candidates = next(method)
        while candidates:
            left = len(candidates) if budget.trials is None else budget.trials - len(trials)
            for trial in (answers := driver.judge(candidates[:left], best)):
                trials.append(trial)
                if not trial.stopped and (best is None or trial.score > best.score):
                    best = trial
                if on_trial is not None:
                    on_trial(len(trials), trial, best or trial)
            late = budget.minutes is not None and time.perf_counter() - began >= 60 * budget.minutes
            if late or len(answers) < len(candidates) or len(trials) == budget.trials:
                break
            candidates = method.send(answers)
    except StopIteration:
        pass
    finally:
        method.close()
    if best is None or best.score == -math.inf:
        raise WavegradError("no candidate could be judged: sampling diverged, or the clips are too short or silent")
    return Found(best, tuple(trials), driver.calls, driver.shared, time.perf_counter() - began)


class _Driver:
    def __init__(self, pool: Pool, journal: Journal, options: SearchOptions):
        self.pool, self.journal, self.options = pool, journal, options
        self.calls = self.shared = 0

    def judge(self, candidates: Sequence[NoiseSchedule], best: Trial | None) -> list[Trial]:
        """One round: all on the first clips, those with hope on the rest."""
        n, first = self.options.n_clips, self.options.first_clips
        if best is None or first >= n:
            return [Trial(c, s) for c, s in zip(candidates, self._scores(candidates, range(n)), strict=True)]
        early = self._scores(candidates, range(first))
        kept = [i for i, scores in enumerate(early) if not hopeless(scores, best.scores)]
        late = dict(zip(kept, self._scores([candidates[i] for i in kept], range(first, n)), strict=True))
        return [
            Trial(candidate, early[i] + late.get(i, ()), stopped=i not in late)
            for i, candidate in enumerate(candidates)
        ]

    def _scores(self, candidates: Sequence[NoiseSchedule], clips: range) -> list[tuple[float, ...]]:
        size = self.options.batch
        betas = [candidate.betas for candidate in candidates]
        batches = [tuple(betas[i : i + size]) for i in range(0, len(betas), size)]
        tasks = [[Task(batch, clip) for clip in clips] for batch in batches]
        flat = [task for row in tasks for task in row]
        for task, outcome, seconds in self.pool.run([t for t in flat if t.key() not in self.journal.outcomes]):
            self.journal.add(task.key(), outcome, seconds)
        outcomes = {task.key(): self.journal.outcomes[task.key()] for task in flat}
        self.calls += sum(outcome.calls for outcome in outcomes.values())
        self.shared += sum(outcome.shared for outcome in outcomes.values())
        return [
            tuple(outcomes[task.key()].scores[i] for task in row)
            for batch, row in zip(batches, tasks, strict=True)
            for i in range(len(batch))
        ]


def hopeless(early: Sequence[float], best: Sequence[float]) -> bool:
    """Worse than the best so far on each of the first clips, by more than the standard deviation of the best's scores
    over all clips. A candidate that is better on one of them, or only a little worse, goes on."""
    margin = float(np.std(best)) if all(map(math.isfinite, best)) else 0.0
    return all(score < reference - margin for score, reference in zip(early, best, strict=False))
