"""The tasks of a search in worker processes of this machine."""

import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from wavegrad.errors import WavegradError
from wavegrad.search.evaluator import Setup, Task
from wavegrad.search.workers import Done, timed


class Processes:
    """Workers that each hold their own judge and get a task whenever they are free."""

    def __init__(self, setup: Setup, n_workers: int):
        self._setup = setup
        self._n_workers = n_workers
        self._workers: dict[Connection, SpawnProcess] = {}

    def __enter__(self) -> "Processes":
        context = multiprocessing.get_context("spawn")
        for _ in range(self._n_workers):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, self._setup), daemon=True)
            process.start()
            theirs.close()
            self._workers[ours] = process
        return self

    def __exit__(self, *exception: object) -> None:
        for pipe, process in self._workers.items():
            pipe.close()
            process.terminate()
            process.join()
        self._workers.clear()

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """Outcomes as they come.

        Raises:
            WavegradError: a worker died. What was computed is in the journal.
        """
        left = iter(tasks)
        busy = set()
        for pipe, task in zip(self._workers, left, strict=False):
            _send(pipe, task)
            busy.add(pipe)
        while busy:
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                answer = _receive(ready)
                if (following := next(left, None)) is None:
                    busy.remove(ready)
                else:
                    _send(ready, following)
                yield answer


def _send(pipe: Connection, task: Task) -> None:
    try:
        pipe.send(task)
    except OSError as error:
        raise _died() from error


def _receive(pipe: Connection) -> Done:
    try:
        answer = pipe.recv()
    except (EOFError, OSError) as error:
        raise _died() from error
    if isinstance(answer, Exception):
        raise answer
    done: Done = answer
    return done


def _died() -> WavegradError:
    return WavegradError("a worker process died (killed, or out of memory); run the same command again to go on")


def _serve(pipe: Connection, setup: Setup) -> None:
    """A worker: build the judge once, then answer until the pipe is closed."""
    try:
        evaluate = setup.build()
        while True:
            pipe.send(timed(evaluate, pipe.recv()))
    except (EOFError, BrokenPipeError):
        pass
    except Exception as error:
        pipe.send(error)
