"""What a device does in one pass where PyTorch takes several: one choice for a whole network."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch

from wavegrad.inference.film import Modulate, modulated
from wavegrad.inference.fused_film import FusedModulation, check_modulation
from wavegrad.inference.fused_rows import FusedRows, check_rows
from wavegrad.inference.onednn import onednn_convolution
from wavegrad.inference.rows import Fusion

FUSIBLE = (torch.float32, torch.bfloat16, torch.float16)
"""The kernels of Triton compute in float32."""


class KernelWarning(UserWarning):
    """The kernels of this package cannot be used here; PyTorch's do the same work in more passes."""


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
    def load(cls) -> "FusedKernels":
        """ImportError where there is no Triton."""
        return cls(FusedModulation.load(), FusedRows.load())

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raise RuntimeError where one gives another result than PyTorch; each is compiled here."""
        check_modulation(self.modulation, device, dtype)
        check_rows(self.rows, device, dtype)


def choose_kernels(device: torch.device, dtype: torch.dtype) -> Kernels:
    """On a GPU those of Triton where they were seen to work, on a CPU `OneDnnConvolution`.

    Warns:
        KernelWarning: Triton is there, and a kernel does not work (it needs a C compiler, for one).
    """
    if device.type != "cuda":
        return Kernels(fusion=Fusion(onednn_convolution))
    fused = seen_to_work(device, dtype)
    return Kernels() if fused is None else Kernels(fused.modulation, fused.rows.fusion)


def seen_to_work(
    device: torch.device, dtype: torch.dtype, load: Callable[[], FusedKernels] = FusedKernels.load
) -> FusedKernels | None:
    """The kernels, if their check does not raise on this device and in this precision; else None, with a KernelWarning
    where there is Triton."""
    if dtype not in FUSIBLE:
        return None
    try:
        fused = load()
        fused.check(device, dtype)
    except ImportError:
        return None
    except Exception as error:  # whatever it is, there is another way
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"the fused kernels cannot be used, PyTorch's are instead: {reason}", KernelWarning, 3)
        return None
    return fused
