"""C sources of this package as libraries: compiled for this processor when they are first needed, and kept.

A library is made by the C compiler of the system, in a fraction of a second, and kept in the user's cache for all
processes. Without a compiler PyTorch does the work, in more passes over the memory.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC", "-shared")
"""Square roots and comparisons set no flags that anybody reads, and so become vector instructions. The calls of OpenMP
find PyTorch's own, which it loads for the whole process: no second set of threads."""
COMPILERS = ("cc", "gcc")
"""Tried in turn, if the environment's CC does not name one."""
SECONDS = 60
"""That a compiler may take; it takes a fraction of one."""
VALUES = Path(__file__).with_name("values.h")
DEFINED = {torch.float32: "FLOAT", torch.bfloat16: "BFLOAT16"}
"""What `values.h` is told for a precision."""
FEW_VALUES = 16_384
"""So many are not worth a second thread."""

Found = TypeVar("Found")


class KernelWarning(UserWarning):
    """The kernels of this package cannot be used here; PyTorch's do the same work in more passes."""


def if_it_works(load: Callable[[], Found]) -> Found | None:
    """What `load` gives; None where it raises, with a KernelWarning unless that is an ImportError: there is nothing to
    be had."""
    try:
        return load()
    except ImportError:
        return None
    except Exception as error:  # whatever it is, there is another way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"the fused kernels cannot be used, PyTorch's are instead: {reason}", KernelWarning, 3)
        return None


def n_threads(n_values: int) -> int:
    """That a kernel should take for so many values: those of PyTorch, or one."""
    return 1 if n_values <= FEW_VALUES else torch.get_num_threads()


def library_for(source: Path, dtype: torch.dtype) -> ctypes.CDLL:
    """The functions of a C file whose values are of a precision: `values.h` stands in front of it.

    Raises:
        ImportError: as `library`, or there are no kernels for `dtype`.
        RuntimeError: the compiler fails.
    """
    if dtype not in DEFINED:
        raise ImportError(f"there are no kernels for {dtype}")
    return library([VALUES, source], DEFINED[dtype])


def library(sources: Sequence[Path], *defined: str) -> ctypes.CDLL:
    """The functions of C files, which are compiled as one, before, or now.

    Args:
        defined: names that they find defined, or "name=value".

    Raises:
        ImportError: this is not Linux, or there is no compiler.
        RuntimeError: the compiler fails.
    """
    command, text = _command(defined), "".join(source.read_text() for source in sources)
    name = hashlib.blake2b(repr((command, text, _processor())).encode(), digest_size=16).hexdigest() + ".so"
    try:
        kept = _cache_folder() / name
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            _compile(command, text, kept)
        return ctypes.CDLL(str(kept))
    except OSError:  # no cache, one that cannot be written, or whose files cannot be loaded
        with tempfile.TemporaryDirectory() as folder:
            _compile(command, text, Path(folder) / name)
            return ctypes.CDLL(str(Path(folder) / name))


def _command(defined: tuple[str, ...]) -> list[str]:
    """All but the name of the result; the source comes from standard input."""
    compiler = os.environ.get("CC") or next(filter(shutil.which, COMPILERS), None)
    if sys.platform != "linux" or compiler is None:
        raise ImportError("there is no C compiler")
    return [*compiler.split(), *FLAGS, *(f"-D{name}" for name in defined), "-x", "c", "-"]


def _processor() -> str:
    """What -march=native means here."""
    return repr(sorted(torch.cpu.get_capabilities().items()))


def _cache_folder() -> Path:
    """OSError for a user without a home, as some containers have. A relative path says nothing, by the XDG standard."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".cache") / "wavegrad"
    except RuntimeError as error:
        raise FileNotFoundError(str(error)) from error


def _compile(command: list[str], source: str, result: Path) -> None:
    """Write `result`, whole or not at all: other processes may do the same."""
    with tempfile.TemporaryDirectory(dir=result.parent) as folder:
        new = Path(folder) / result.name
        try:
            run = [*command, "-o", str(new)]
            subprocess.run(run, input=source, check=True, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{command[0]}: {error.stderr.strip() or error}") from error
        new.replace(result)
