"""The kernel of `fused_film`: a module of its own, because Triton reads the globals of the module that a kernel is in.

Triton comes with PyTorch's builds for CUDA; where it is missing, this module cannot be imported.
"""

from typing import no_type_check

import triton
import triton.language as tl

BLOCK_ROWS = 32
BLOCK_CHANNELS = 128
"""Positions and channels of a block: 16 values for each thread, in pieces of 16 bytes."""
WARPS = 8


@triton.jit(do_not_specialize=["n_rows", "slope"])
@no_type_check
def scale_shift_leaky_relu(
    x, film, mask, out, n_rows, n_channels, slope, block_rows: tl.constexpr, block_channels: tl.constexpr
):
    """out = LeakyReLU(scale x + shift) mask, for one block of positions (rows) and channels.

    A row of `film` is scale, then shift; `mask` has one value for each row, or is None. All are contiguous.
    """
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)
    there = (row < n_rows)[:, None] & (channel < n_channels)[None, :]
    here = row[:, None] * n_channels + channel[None, :]
    scale_here = row[:, None] * (2 * n_channels) + channel[None, :]
    value = tl.load(x + here, there).to(tl.float32)
    scale = tl.load(film + scale_here, there).to(tl.float32)
    shift = tl.load(film + (scale_here + n_channels), there).to(tl.float32)
    value = scale * value + shift
    value = tl.where(value > 0, value, value * slope)
    if mask is not None:
        value *= tl.load(mask + row, row < n_rows).to(tl.float32)[:, None]
    tl.store(out + here, value.to(out.dtype.element_ty), there)
