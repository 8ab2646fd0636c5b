"""`fused_film` on a CPU: one pass over the memory there (that of the engine) and one back, in C.

PyTorch takes two there and four back, and in bfloat16 most of their time is spent on conversion.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from wavegrad.compiled import if_it_works, library_for, n_threads
from wavegrad.inference.ends import Ends
from wavegrad.inference.native import NativeKernels
from wavegrad.network.film import Film
from wavegrad.shapes import Feature

SOURCE = Path(__file__).with_suffix(".c")

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
_MODULATE_BACK = (*(_POINTER,) * 6, _SIZE, _SIZE, ctypes.c_float, ctypes.c_int)


@dataclass(frozen=True)
class NativeFilm:
    """`modulated` and its gradients, for tensors of one precision whose channels are neighbours in memory."""

    engine: NativeKernels
    modulate_back: "ctypes._NamedFuncPointer"

    @classmethod
    def load(cls, dtype: torch.dtype) -> "NativeFilm":
        """ImportError and RuntimeError as `compiled.library_for`."""
        function = library_for(SOURCE, dtype).modulate_back
        function.argtypes, function.restype = _MODULATE_BACK, None
        return cls(NativeKernels.load(dtype), function)

    def modulated(self, x: Feature, film: Film, slope: float) -> Feature:
        """LeakyReLU(gamma x + xi)."""
        return self.engine.modulate(x.mT, film.mT, slope, Ends()).mT

    def gradients(
        self, gradient: Feature, x: Feature, film: Film, result: Feature, slope: float
    ) -> tuple[Tensor, Tensor]:
        """Of `x` and of `film`, from that of the `result` of `modulated`."""
        assert gradient.dtype == x.dtype == film.dtype == result.dtype == self.engine.dtype
        # not made as rows: autograd adds nothing in place to a view
        of_x, of_film = torch.empty_like(x), torch.empty_like(film)
        tensors = (gradient.mT.contiguous(), x, film, result, of_x, of_film)
        n_batch, n_channels, n_time = x.shape
        pointers = (tensor.data_ptr() for tensor in tensors)
        self.modulate_back(*pointers, n_batch * n_time, n_channels, slope, n_threads(x.numel()))
        return of_x, of_film


def native_film(x: Feature, film: Film) -> NativeFilm | None:
    """The kernels for these tensors; None for other devices, precisions and layouts, and where there is no compiler.

    Warns:
        KernelWarning: the compiler fails, or a gradient is not PyTorch's; once a process and precision.
    """
    in_rows = x.mT.is_contiguous() and film.mT.is_contiguous()
    return _of_precision(x.dtype) if x.device.type == "cpu" and x.dtype == film.dtype and in_rows else None


@cache
def _of_precision(dtype: torch.dtype) -> NativeFilm | None:
    def load_and_check() -> NativeFilm:
        kernels = NativeFilm.load(dtype)
        check(kernels)
        return kernels

    return if_it_works(load_and_check)


def check(kernels: NativeFilm) -> None:
    """Compare with PyTorch's gradients in float64, where no size is that of a vector.

    Raises:
        RuntimeError: a value is farther off than three roundings.
    """
    generator, dtype = torch.Generator().manual_seed(0), kernels.engine.dtype
    x, film, gradient = (torch.randn(3, 37, n, generator=generator).to(dtype).mT for n in (21, 42, 21))
    result = kernels.modulated(x, film, 0.2)
    with torch.enable_grad():  # inside an operation of autograd there is none
        wide_x, wide_film = (tensor.double().requires_grad_() for tensor in (x, film))
        wide_result = F.leaky_relu(torch.addcmul(wide_film[:, 21:], wide_film[:, :21], wide_x), 0.2)
        expected = torch.autograd.grad(wide_result, (wide_x, wide_film), gradient.double())
    close = 1.5 * torch.finfo(dtype).eps
    for a, b in zip(kernels.gradients(gradient, x, film, result, 0.2), expected, strict=True):
        if not torch.allclose(a.double(), b, rtol=close, atol=0):
            raise RuntimeError(f"a gradient of FiLM is off by up to {(a - b).abs().max().item():.2g} in {dtype}")
