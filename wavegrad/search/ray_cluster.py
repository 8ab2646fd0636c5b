"""The tasks of a search on a Ray cluster."""

from collections.abc import Iterator, Sequence
from typing import Any

from wavegrad.errors import ConfigError
from wavegrad.search.evaluator import Setup, Task
from wavegrad.search.workers import Done, timed


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
        return timed(self._evaluate, task)
