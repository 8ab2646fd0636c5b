"""Measuring speed: calls in turn, so that a machine whose speed drifts is fair to all of them."""

import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from wavegrad.inference.layers import float_of
from wavegrad.inference.quantized import Codes, QuantizedLinear

MATRIX_SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices whose product gives the rate."""
PRODUCTS = {"cpu": 1, "cuda": 10}
"""In a call: one of 8192 rows takes a GPU little more than a millisecond, of which launch and wait are a part."""


@dataclass(frozen=True)
class Times:
    """Seconds of some repetitions of a call."""

    first: float
    """The first call, with all that is prepared or warmed up in it."""
    runs: tuple[float, ...]
    """The calls after it."""

    @property
    def median(self) -> float:
        """Of the calls after the first."""
        return statistics.median(self.runs)

    def ratio(self, other: "Times") -> float:
        """Median of the ratios run by run: neighbours in time, so the machine was the same for both."""
        return statistics.median(a / b for a, b in zip(self.runs, other.runs, strict=True))


def time_in_turn(calls: Mapping[str, Callable[[], object]], n_runs: int, device: torch.device) -> dict[str, Times]:
    """Each call once to warm up, then all of them in turn, `n_runs` times."""
    first = {name: _seconds(call, device) for name, call in calls.items()}
    runs: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(n_runs):
        for name, call in calls.items():
            runs[name].append(_seconds(call, device))
    return {name: Times(first[name], tuple(runs[name])) for name in calls}


def matrix_product(device: torch.device, dtype: torch.dtype) -> tuple[Callable[[], object], float]:
    """Products of two square matrices, and the multiply-accumulates in them: what the machine can do at best.

    That of int8 is the product of codes with codes, without the coding. In float32 a GPU may round the factors to TF32
    where it may in convolutions, which PyTorch by itself allows in those only.
    """
    n, times = MATRIX_SIZE[device.type], PRODUCTS[device.type]
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(n, n, generator=generator).to(device, float_of(dtype)) for _ in range(2))
    if dtype == torch.int8:
        product, codes = QuantizedLinear.prepare(b, torch.zeros(n)), Codes.of(a[None])
        return lambda: product.of_codes(codes), float(n**3)

    def multiply() -> None:
        with _products_as_convolutions():
            for _ in range(times):
                a @ b

    return multiply, float(times * n**3)


@contextlib.contextmanager
def _products_as_convolutions() -> Iterator[None]:
    matmul = torch.backends.cuda.matmul
    before, matmul.allow_tf32 = matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        yield
    finally:
        matmul.allow_tf32 = before


def peak_memory_bytes(device: torch.device) -> int:
    """GPU: most memory allocated since `forget_peak`. CPU: most that this process had resident since it started."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def forget_peak(device: torch.device) -> None:
    """Count the peak anew, where that is possible."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _seconds(call: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began
