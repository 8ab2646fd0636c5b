"""What FiLM does to a feature, and the repeated values of `UpsampledConvolution`, in one pass each on a CPU.

PyTorch takes some three passes for the first and eight for the second, and in bfloat16 most of their time is spent on
conversion. The kernels are `native_kernels.c`, which `compiled.py` compiles when an engine first needs them.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from wavegrad.compiled import library_for, n_threads
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import Film
from wavegrad.inference.fused_film import check_modulation
from wavegrad.inference.fused_rows import check_phases
from wavegrad.inference.rows import Rows, RowsOut, Taps

SOURCE = Path(__file__).with_name("native_kernels.c")

_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_int64
_MODULATE = (_POINTER, _POINTER, _POINTER, _POINTER, _SIZE, _SIZE, ctypes.c_float, ctypes.c_int)
_ADD_TAPS = (_POINTER, _POINTER, _SIZE, _SIZE, _SIZE, _SIZE, _SIZE, ctypes.c_int)


@dataclass(frozen=True)
class NativeKernels:
    """`modulated` and `sum_phases` for tensors of one precision on a CPU; without gradients.

    Each rounds once, at the end, where PyTorch's passes round after each. They run on as many threads of PyTorch's own
    OpenMP as PyTorch would.
    """

    library: ctypes.CDLL
    dtype: torch.dtype

    @classmethod
    def load(cls, dtype: torch.dtype) -> "NativeKernels":
        """Compiled before, or now.

        Raises:
            ImportError: this is not Linux, there is no compiler, or there are no kernels for `dtype`.
            RuntimeError: the compiler fails.
        """
        return cls(_library(dtype), dtype)

    def modulate(self, x: Rows, film: Film, slope: float, ends: Ends) -> Rows:
        """LeakyReLU(gamma x + xi), zero beyond the ends."""
        assert x.dtype == film.dtype == self.dtype
        n_batch, n_time, n_channels = x.shape
        x, film, out = x.contiguous(), film.contiguous(), torch.empty_like(x, memory_format=torch.contiguous_format)
        mask = None if ends.mask is None else ends.mask.contiguous()
        pointers = x.data_ptr(), film.data_ptr(), None if mask is None else mask.data_ptr(), out.data_ptr()
        self.library.modulate(*pointers, n_batch * n_time, n_channels, slope, n_threads(out.numel()))
        return out

    def phases(self, taps: Taps, factor: int, dilation: int) -> RowsOut:
        """`sum_phases`."""
        assert taps.dtype == self.dtype
        n_batch, n_time, _, n_channels = taps.shape
        taps, out = taps.contiguous(), taps.new_empty(n_batch, n_time * factor, n_channels)
        sizes = n_batch, n_time, n_channels, factor, dilation
        self.library.add_taps(taps.data_ptr(), out.data_ptr(), *sizes, n_threads(out.numel()))
        return out

    def check(self, device: torch.device, dtype: torch.dtype) -> None:
        """Raise RuntimeError where one gives another result than PyTorch."""
        check_modulation(self.modulate, device, dtype)
        check_phases(self.phases, device, dtype)


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    kernels = library_for(SOURCE, dtype)
    kernels.modulate.argtypes, kernels.modulate.restype = _MODULATE, None
    kernels.add_taps.argtypes, kernels.add_taps.restype = _ADD_TAPS, None
    return kernels
