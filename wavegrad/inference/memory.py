"""When the memory is not enough for a batch: smaller ones."""

import warnings
from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")


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


def is_of_memory(error: BaseException) -> bool:
    """Whether there was not enough memory: PyTorch's CPU allocator and CUDA's libraries raise plain RuntimeErrors."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    said = ("allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(words in str(error) for words in said)
