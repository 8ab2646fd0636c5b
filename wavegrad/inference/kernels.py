"""What a device does in one pass where PyTorch takes several: one choice for a whole network."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import torch

from wavegrad.compiled import if_it_works
from wavegrad.inference.film import Modulate, modulated
from wavegrad.inference.fused_film import FusedModulation, check_modulation
from wavegrad.inference.fused_rows import FusedRows, check_rows
from wavegrad.inference.layers import float_of
from wavegrad.inference.native import NativeKernels
from wavegrad.inference.onednn import onednn_convolution, onednn_linear
from wavegrad.inference.rows import Fusion

FUSIBLE = (torch.float32, torch.bfloat16, torch.float16)
"""The kernels of Triton compute in float32."""


@dataclass(frozen=True)
class Kernels:
    """What a network is prepared with; left out, PyTorch's own operations."""

    modulate: Modulate = modulated
    fusion: Fusion | None = None


@dataclass(frozen=True)
class FusedKernels:
    """Those of Triton: all of them are used, or none."""

    modulation: Modulate
    rows: FusedRows

    @classmethod
    def load(cls, dtype: torch.dtype) -> "FusedKernels":
        """ImportError where there is no Triton, and for a precision that they do not have."""
        if dtype not in FUSIBLE:
            raise ImportError(f"there are no kernels for {dtype}")
        return cls(FusedModulation.load(), FusedRows.load())

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raise RuntimeError where one gives another result than PyTorch; each is compiled here."""
        check_modulation(self.modulation, device, dtype)
        check_rows(self.rows, device, dtype)


Found = TypeVar("Found", FusedKernels, NativeKernels)


def choose_kernels(device: torch.device, dtype: torch.dtype) -> Kernels:
    """On a GPU those of Triton, on a CPU `NativeKernels`, each where they were seen to work; and there oneDNN's layers.

    Warns:
        KernelWarning: a kernel does not work (those of Triton need a C compiler, for one), or cannot be compiled.
    """
    if device.type == "cuda":
        fused = seen_to_work(device, dtype, FusedKernels.load)
        return Kernels() if fused is None else Kernels(fused.modulation, fused.rows.fusion)
    native = seen_to_work(device, float_of(dtype), NativeKernels.load)
    layers = Fusion(onednn_convolution, pointwise=onednn_linear)
    return Kernels(fusion=layers) if native is None else Kernels(native.modulate, replace(layers, phases=native.phases))


def seen_to_work(device: torch.device, dtype: torch.dtype, load: Callable[[torch.dtype], Found]) -> Found | None:
    """What `load` gives, if its check does not raise on this device and in this precision; else None, with a
    KernelWarning unless `load` raises ImportError: there is nothing to be had."""

    def load_and_check() -> Found:
        kernels = load(dtype)
        _check_once(kernels, device, dtype)
        return kernels

    return if_it_works(load_and_check)


@cache
def _check_once(kernels: FusedKernels | NativeKernels, device: torch.device, dtype: torch.dtype) -> None:
    """What was seen to work is not tried again in this process."""
    kernels.check(device, dtype)
