"""The kernels of `fused_film` and `fused_rows`: a module of their own, because Triton reads the globals of the module
that a kernel is in.

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


@triton.jit(do_not_specialize=["n_rows", "slope"])
@no_type_check
def finish_rows(
    y,
    bias,
    added,
    mask,
    out,
    n_rows,
    n_channels,
    repeats,
    slope,
    block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):
    """out = (LeakyReLU(y + bias) + added) mask, for one block of positions (rows) and channels.

    Each row of `added` counts for `repeats` rows; `mask` has one value for each row. Both may be None, and `out` may be
    `y`. All are contiguous.
    """
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)
    there = (row < n_rows)[:, None] & (channel < n_channels)[None, :]
    here = row[:, None] * n_channels + channel[None, :]
    value = tl.load(y + here, there).to(tl.float32)
    value += tl.load(bias + channel, channel < n_channels).to(tl.float32)[None, :]
    value = tl.where(value > 0, value, value * slope)
    if added is not None:
        value += tl.load(added + ((row // repeats)[:, None] * n_channels + channel[None, :]), there).to(tl.float32)
    if mask is not None:
        value *= tl.load(mask + row, row < n_rows).to(tl.float32)[:, None]
    tl.store(out + here, value.to(out.dtype.element_ty), there)


@triton.jit(do_not_specialize=["n_rows", "n_time"])
@no_type_check
def add_taps(
    taps,
    out,
    n_rows,
    n_time,
    n_channels,
    factor,
    dilation,
    block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):
    """`upsampled_conv.sum_phases`, for one block of positions (rows) of the result and channels.

    A row of `taps` is the left, the middle and the right tap of one of `n_time` positions; the result has `factor` rows
    for each of them. All are contiguous.
    """
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)
    there = (row < n_rows)[:, None] & (channel < n_channels)[None, :]
    low = row // factor
    position = low % n_time
    value = tl.zeros((block_rows, block_channels), tl.float32)
    for k in tl.static_range(3):
        # rounded down, of a number that is never negative: Triton rounds towards zero
        shift = (row % factor + (k - 1) * dilation + dilation * factor) // factor - dilation
        inside = (position + shift >= 0) & (position + shift < n_time)
        at = (low + shift)[:, None] * (3 * n_channels) + (k * n_channels + channel[None, :])
        value += tl.load(taps + at, there & inside[:, None], other=0.0).to(tl.float32)
    tl.store(out + (row[:, None] * n_channels + channel[None, :]), value.to(out.dtype.element_ty), there)
