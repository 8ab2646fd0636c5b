"""The folder of a run: it is there, can be written, and belongs to one training at a time."""

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from wavegrad import atomic
from wavegrad.errors import TrainingError

LOCK = ".lock"
"""File that is locked while a process trains; it says which one."""


@contextmanager
def claimed(run: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from training in it until the context or this process ends, however it
    ends. After an error the folder is gone again if it is new and nothing was written to it.

    Raises:
        TrainingError: it cannot be written, or another process trains in it.
    """
    is_new = not run.exists()
    try:
        run.mkdir(parents=True, exist_ok=True)
        file = (run / LOCK).open("a+", encoding="utf-8")
    except OSError as error:
        raise _not_writable(run, error) from error
    with file:
        if not _locked(file):
            file.seek(0)
            raise TrainingError(
                f"{run}: {file.read().strip() or 'another process'} trains in it; stop that one, or choose another "
                "--run-dir"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} of {platform.node()}\n")
        file.flush()
        try:
            atomic.clear_unfinished(run)
        except OSError as error:
            raise _not_writable(run, error) from error
        try:
            yield
        except BaseException:
            if is_new and [path.name for path in run.iterdir()] == [LOCK]:
                shutil.rmtree(run, ignore_errors=True)
            raise


def _not_writable(run: Path, error: OSError) -> TrainingError:
    return TrainingError(f"{run}: cannot be written: {error.strerror}; choose another --run-dir")


def _locked(file: IO[str]) -> bool:
    """Whether the lock is ours now. Where the system or the disk has no locks, all processes believe it is theirs."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of this process: forked workers do not inherit it
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True
