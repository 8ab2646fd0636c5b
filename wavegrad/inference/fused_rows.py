"""What follows a convolution, in one pass over the memory of a GPU.

PyTorch adds the bias of a convolution after it, in a pass of its own over the result; LeakyReLU, mask and sum are one
more each, and the repeated values of `UpsampledConvolution` some eight. Here each of these is one pass.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.ends import Ends
from wavegrad.inference.layers import Convolution
from wavegrad.inference.rows import Fusion, Rows, RowsConvolution, RowsOut, Taps
from wavegrad.inference.upsampled_conv import sum_phases


@dataclass(frozen=True)
class FusedRows:
    """Kernels for tensors of a GPU; without gradients. Each computes in float32 and rounds once, at the end."""

    finish_rows: Any
    add_taps: Any
    """Those of `triton_kernels`."""
    block: tuple[int, int]
    """Positions and channels."""
    n_warps: int

    @classmethod
    def load(cls) -> "FusedRows":
        """Import Triton, which compiles a kernel at its first call; ImportError where there is none."""
        from wavegrad.inference.triton_kernels import BLOCK_CHANNELS, BLOCK_ROWS, WARPS, add_taps, finish_rows

        return cls(finish_rows, add_taps, (BLOCK_ROWS, BLOCK_CHANNELS), WARPS)

    @property
    def fusion(self) -> Fusion:
        """What a network is prepared with."""
        return Fusion(lambda conv, dtype: FusedConvolution(Convolution.prepare(conv, dtype), self), self.phases)

    def finish_(
        self,
        y: Rows,
        bias: Float[Tensor, " channels"],
        slope: float,
        ends: Ends,
        added: Float[Tensor, "batch time_added channels"] | None = None,
    ) -> Rows:
        """LeakyReLU(y + bias) + `added`, each value of which is repeated to the length of y; zero beyond the ends, and
        in place of y."""
        mask = None if ends.mask is None else ends.mask.contiguous()
        n_batch, n_time, n_channels = y.shape
        repeats = 1 if added is None else n_time // added.shape[1]
        others = bias, None if added is None else added.contiguous(), mask
        self._launch(self.finish_rows, y, (y, *others, y, n_batch * n_time, n_channels, repeats, slope))
        return y

    def phases(self, taps: Taps, factor: int, dilation: int) -> RowsOut:
        """`sum_phases`."""
        n_batch, n_time, _, n_channels = taps.shape
        out = taps.new_empty(n_batch, n_time * factor, n_channels)
        sizes = n_batch * n_time * factor, n_time, n_channels, factor, dilation
        self._launch(self.add_taps, out, (taps.contiguous(), out, *sizes))
        return out

    def _launch(self, kernel: Any, out: Rows, arguments: tuple[object, ...]) -> None:
        n_batch, n_time, n_channels = out.shape
        grid = -(-n_batch * n_time // self.block[0]), -(-n_channels // self.block[1])
        with torch.cuda.device_of(out):
            kernel[grid](*arguments, *self.block, num_warps=self.n_warps)


@dataclass(frozen=True)
class FusedConvolution(RowsConvolution):
    """`Convolution`, and in a single pass behind it its bias and what follows."""

    convolution: Convolution
    fused: FusedRows

    def __call__(self, x: Rows, bias: Float[Tensor, " channels_out"] | None = None) -> RowsOut:
        return self.convolution(x, bias)

    def activated(self, x: Rows, slope: float, ends: Ends) -> RowsOut:
        return self.fused.finish_(self.convolution.products(x), self.convolution.bias, slope, ends)

    def add_to_(self, h: RowsOut, x: Rows, ends: Ends) -> RowsOut:
        return self.fused.finish_(self.convolution.products(x), self.convolution.bias, 1.0, ends, h)

    def with_repeated(self, x: Rows, residual: Float[Tensor, "batch time_low channels_out"]) -> RowsOut:
        return self.fused.finish_(self.convolution.products(x), self.convolution.bias, 1.0, Ends(), residual)


def check_rows(fused: FusedRows, device: torch.device, dtype: torch.dtype) -> None:
    """Compare with PyTorch in float64, where no size is a multiple of a block.

    Raises:
        RuntimeError: a value is farther off than two roundings.
    """
    generator = torch.Generator().manual_seed(0)
    sizes = ((3, 42, 144), (144,), (3, 14, 144))
    y, bias, low = (torch.randn(*size, generator=generator).to(device, dtype) for size in sizes)
    mask = (torch.arange(42)[:, None] < torch.tensor([42, 5, 20])[:, None, None]).to(device, dtype)
    repeated = low.repeat_interleave(3, 1)
    for slope, added, ends in (
        (0.2, None, Ends(mask)),
        (1.0, repeated, Ends(mask)),
        (1.0, low, Ends()),
        (0.2, None, Ends()),
    ):
        exact = torch.nn.functional.leaky_relu(y.double() + bias.double(), slope)
        exact = exact if added is None else exact + repeated.double()
        _check_close(fused.finish_(y.clone(), bias, slope, ends, added), exact if ends.mask is None else exact * mask)
    check_phases(fused.phases, device, dtype)


def check_phases(phases: Callable[[Taps, int, int], RowsOut], device: torch.device, dtype: torch.dtype) -> None:
    """Compare with `sum_phases` in float64; raises as `check_rows`."""
    taps = torch.randn(3, 14, 3, 144, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    for factor, dilation in ((3, 1), (2, 4), (5, 2)):
        _check_close(phases(taps, factor, dilation), sum_phases(taps.double(), factor, dilation))


def _check_close(found: Tensor, exact: Tensor) -> None:
    """Sums of up to three normal numbers: their roundings in float32 are those of values below 16."""
    allowed = torch.finfo(found.dtype).eps * exact.abs() + 16 * torch.finfo(torch.float32).eps
    if not ((found.double() - exact).abs() <= allowed).all():
        raise RuntimeError(f"it is off by up to {(found - exact).abs().max().item():.2g} in {found.dtype}")
