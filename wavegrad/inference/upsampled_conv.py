"""Convolution of an upsampled signal, its products taken before the upsampling.

Upsampling acts on time and each tap of a convolution on channels, so the two commute: conv(up(x)) is the sum over taps
k of up(W_k x), shifted by (k - 1) d. The products run at the low rate: `factor` times fewer of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

import torch
import torch.nn.functional as F

from wavegrad.inference.ends import Ends
from wavegrad.inference.layers import bias_of, linear_of
from wavegrad.inference.rows import Fusion, Pointwise, Rows, RowsOut, Taps
from wavegrad.network.conv import Conv, Resampling, upsample


class PhaseGroup(NamedTuple):
    """Phases `first` to `stop` - 1 of a repeated value, whose taps read the same low-rate positions."""

    first: int
    stop: int
    left: int
    """Where the left tap reads, counted from the value's own position."""
    right: int
    """Where the right one does."""


def phase_groups(factor: int, dilation: int) -> list[PhaseGroup]:
    """All phases of a value repeated `factor` times, before a convolution of three taps."""

    def read(phase: int) -> tuple[int, int]:
        return (phase - dilation) // factor, (phase + dilation) // factor

    groups = ((reads, list(phases)) for reads, phases in groupby(range(factor), read))
    return [PhaseGroup(phases[0], phases[-1] + 1, *reads) for reads, phases in groups]


@dataclass(frozen=True)
class UpsampledConvolution:
    """conv(upsample(x)) for a convolution of three taps."""

    taps: Pointwise
    """Below each other; the bias comes with the middle one, the only one that never reaches beyond an end."""
    factor: int
    dilation: int
    mode: Resampling
    phases: Callable[[Taps, int, int], RowsOut]
    """`sum_phases`, or something that does the same."""

    @classmethod
    def prepare(
        cls, conv: Conv, factor: int, mode: Resampling, dtype: torch.dtype, fusion: Fusion | None = None
    ) -> "UpsampledConvolution":
        """From the first convolution of a UBlock."""
        weight = conv.weight.detach().permute(2, 0, 1).flatten(0, 1).contiguous()
        bias = torch.cat([torch.zeros_like(bias_of(conv)), bias_of(conv), torch.zeros_like(bias_of(conv))])
        phases = sum_phases if fusion is None or fusion.phases is None else fusion.phases
        return cls(linear_of(weight, bias, dtype, fusion), factor, conv.dilation[0], mode, phases)

    def __call__(self, x: Rows, ends: Ends, ends_out: Ends) -> RowsOut:
        """`batch time n_in` -> `batch time*factor n_out`; `x` is zero beyond the ends."""
        taps = self.taps(x).unflatten(2, (3, -1))
        if self.mode == "nearest":
            return self.phases(taps, self.factor, self.dilation)
        return self._shifted(taps, ends, ends_out)

    def _shifted(self, taps: Taps, ends: Ends, ends_out: Ends) -> RowsOut:
        """Interpolated values: every tap is upsampled, then shifted."""
        d = self.dilation
        flat = ends.hold_(taps.flatten(2))
        up = upsample(flat.transpose(1, 2), self.factor, self.mode).transpose(1, 2).contiguous()
        left, middle, right = F.pad(ends_out.clear_(up), (0, 0, d, d)).chunk(3, dim=2)
        n_time = up.shape[1]
        return left[:, :n_time] + middle[:, d : d + n_time] + right[:, 2 * d :]


def sum_phases(taps: Taps, factor: int, dilation: int) -> RowsOut:
    """Repeated values: output `factor * i + phase` adds one low-rate value of each tap, and phases between the borders
    of a repeat add the same three."""
    left, middle, right = taps.unbind(2)
    n_batch, n_time, n_out = middle.shape
    out = taps.new_empty(n_batch, n_time, factor, n_out)
    for group in phase_groups(factor, dilation):
        value = out[:, :, group.first]
        _add_(_add_(value.copy_(middle), left, group.left), right, group.right)
        if group.stop > group.first + 1:
            out[:, :, group.first + 1 : group.stop] = value[:, :, None]
    return out.flatten(1, 2)


def _add_(x: Rows, y: Rows, shift: int) -> Rows:
    """x[t] += y[t + shift] in place, as far as there is one."""
    if shift == 0:
        x += y
    elif shift > 0:
        x[:, :-shift] += y[:, shift:]
    else:
        x[:, -shift:] += y[:, :shift]
    return x
