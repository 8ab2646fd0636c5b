"""When the memory is not enough for a batch: smaller ones."""

import ctypes
import sys
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt, see its manual page (glibc)."""


class MemoryWarning(UserWarning):
    """A batch was too large for the memory."""


def in_smaller_batches(run: Callable[[list[int]], list[Result]], n_items: int) -> list[Result]:
    """`run(items 0 ... n_items - 1)`, in halves as often as the memory asks for it.

    Args:
        run: takes item numbers, returns one result for each.
        n_items: how many.

    Raises:
        RuntimeError: a single item is too large already.

    Warns:
        MemoryWarning: what was tried, and what is tried next.
    """
    results: list[Result] = []
    size = n_items
    while len(results) < n_items:
        items = list(range(len(results), min(len(results) + size, n_items)))
        try:
            results += run(items)
        except (MemoryError, RuntimeError) as error:
            if len(items) == 1 or not is_of_memory(error):
                raise
            size = len(items) // 2
        else:
            continue
        give_back_memory()  # outside the handler: the traceback holds the tensors of the failed attempt
        warnings.warn(f"not enough memory for {len(items)} items at once: going on with {size}", MemoryWarning, 2)
    return results


def give_back_memory() -> None:
    """What PyTorch keeps of a GPU's memory and does not use."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def keep_freed_memory() -> None:
    """Let the C library of Linux keep for the next tensor what it would give back to the system after each.

    Above 32 MiB it asks the system for every tensor anew, and each of its pages is then cleared and mapped when first
    touched: that costs time, and saves memory. It holds for the whole process and cannot be taken back, so that is
    for a program to say: the commands do, a server may. On other systems nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def is_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory: PyTorch's CPU allocator and CUDA's libraries raise plain RuntimeErrors.

    cuBLAS is "not initialized" where it lacks the memory for that, and cuDNN has no "engine" left when every way to
    convolve has asked for more memory than there was.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = ("allocate memory", "out of memory", "ALLOC_FAILED", "CUBLAS_STATUS_NOT_INITIALIZED", "to find an engine")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)
