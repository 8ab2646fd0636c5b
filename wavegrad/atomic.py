"""Files and folders that are written whole, or not at all.

They are written beside their place, under a name of their own, and moved there when they are done: whoever reads finds
what was there before or what is there now, also if the writer is killed.
"""

import contextlib
import ctypes
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
"""Of Linux: paths are as the process sees them; both names stay, and what they name changes places."""

_UNFINISHED = re.compile(r"\.(?P<name>.+)\.(\d+\.tmp|[0-9a-f]{32}\.(new|(?P<old>old)))", re.DOTALL)
"""What is not in its place yet, or not any more, by the names that `temporary_name` and `replacing_folder` give."""


def temporary_name(path: Path) -> Path:
    """A name beside `path` for a file that is not done yet; of this thread alone."""
    return path.with_name(f".{path.name}.{threading.get_native_id()}.tmp")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write a file that takes the place of `path` when the block ends; of one that fails nothing is left."""
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if str(error.filename) == str(temporary):  # the caller knows the file by its own name
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing can be removed
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """OSError where that is not possible; what was there is there still."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """As UTF-8; OSError where that is not possible; what was there is there still."""
    write_bytes(path, text.encode())


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Where to make a folder that takes the place of `path` when the block ends; of one that fails nothing is left."""
    tag = os.urandom(16).hex()
    fresh, old = (path.with_name(f".{path.name}.{tag}.{state}") for state in ("new", "old"))
    try:
        yield fresh
        if not path.exists():
            fresh.rename(path)
        elif not _exchanged(fresh, path):
            path.rename(old)
            fresh.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for leftover in (fresh, old):
            shutil.rmtree(leftover, ignore_errors=True)


def clear_unfinished(folder: Path) -> None:
    """Remove what killed writers left in a folder in which nobody writes now. What they had moved away, and not yet
    replaced, goes back.

    Raises:
        OSError: that is not possible.
    """
    for path in list(folder.iterdir()):
        if not (match := _UNFINISHED.fullmatch(path.name)):
            continue
        place = path.with_name(match["name"])
        if match["old"] and not place.exists():
            path.rename(place)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _exchanged(one: Path, other: Path) -> bool:
    """Whether they changed places, at once; not every system and not every file system can do that."""
    exchange = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if exchange is None:
        return False
    return exchange(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0
