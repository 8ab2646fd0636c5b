"""Who computes the tasks: this process, several, or a Ray cluster. All give the same outcomes."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from typing import Any, Protocol, runtime_checkable

from wavegrad.errors import ConfigError, WavegradError
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
            yield _timed(self._evaluate, task)


class Processes:
    """Worker processes of this machine."""

    def __init__(self, setup: Setup, n_workers: int):
        self._pool = ProcessPoolExecutor(
            n_workers, multiprocessing.get_context("spawn"), initializer=_start_worker, initargs=(setup,)
        )

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        futures: list[Future[Done]] = [self._pool.submit(_work, task) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise WavegradError(
                "a worker process died (killed, or out of memory); run the same command again to go on"
            ) from error


class Ray:
    """Actors on a Ray cluster. One that dies is started again, elsewhere if need be, and its task is repeated.

    Args:
        setup: how a worker becomes able to judge.
        n_workers: actors, of one CPU each.
        address: of the cluster; "local" starts one here.

    Raises:
        ConfigError: ray is not installed, or there is no such cluster.
    """

    def __init__(self, setup: Setup, n_workers: int, address: str):
        try:
            import ray
        except ImportError as error:
            raise ConfigError("ray is not installed; pip install 'wavegrad-vocoder[ray]'") from error
        self._ray: Any = ray
        self._owns = not ray.is_initialized()
        if self._owns:
            try:
                ray.init(address=address, log_to_driver=False, configure_logging=False)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise ConfigError(f"no Ray cluster at {address!r}: {' '.join(str(error).split())}") from error
        actor: Any = ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)(_Worker)
        self._actors: list[Any] = [actor.remote(setup) for _ in range(n_workers)]

    def __enter__(self) -> "Ray":
        return self

    def __exit__(self, *exception: object) -> None:
        for actor in self._actors:
            self._ray.kill(actor)
        if self._owns:
            self._ray.shutdown()

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        waiting = list(reversed(tasks))
        running: dict[Any, Any] = {}
        for actor in self._actors:
            if waiting:
                running[actor.work.remote(waiting.pop())] = actor
        while running:
            (ready, *_), _ = self._ray.wait(list(running), num_returns=1)
            actor = running.pop(ready)
            if waiting:
                running[actor.work.remote(waiting.pop())] = actor
            yield self._ray.get(ready)


class _Worker:
    """The actor."""

    def __init__(self, setup: Setup):
        self._evaluate = setup.build()

    def work(self, task: Task) -> Done:
        return _timed(self._evaluate, task)


def _timed(evaluate: Callable[[Task], Outcome], task: Task) -> Done:
    began = time.perf_counter()
    outcome = evaluate(task)
    return task, outcome, time.perf_counter() - began


_worker: list[Evaluate] = []
"""The one judge of a worker process, made by `_start_worker`; empty everywhere else."""


def _start_worker(setup: Setup) -> None:
    _worker.append(setup.build())


def _work(task: Task) -> Done:
    return _timed(_worker[0], task)
