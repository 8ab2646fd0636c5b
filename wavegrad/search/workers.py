"""Who computes the tasks: this process, several (`processes`), or a Ray cluster. All give the same outcomes."""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from wavegrad.search.evaluator import Evaluate, Outcome, Setup, Task

Done = tuple[Task, Outcome, float]
"""A task, its outcome and the seconds it took."""


@runtime_checkable
class Pool(AbstractContextManager["Pool"], Protocol):
    """Works tasks off."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """Outcomes as they come, in any order."""
        ...


class InProcess:
    """No workers: one task after the other, here."""

    def __init__(self, setup: Setup, evaluate: Evaluate | None = None):
        self._setup = setup
        self._evaluate = evaluate

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        for task in tasks:
            self._evaluate = self._evaluate or self._setup.build()
            yield timed(self._evaluate, task)


def timed(evaluate: Evaluate, task: Task) -> Done:
    """Judge a task, with a clock."""
    began = time.perf_counter()
    outcome = evaluate(task)
    return task, outcome, time.perf_counter() - began
