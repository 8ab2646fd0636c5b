"""Streaming forms of the layers that change the rate."""

import torch
import torch.nn.functional as F

from wavegrad.inference.streaming.conv import StreamConv
from wavegrad.inference.streaming.memory import Line, Signal, SignalOut
from wavegrad.inference.streaming.window import Window
from wavegrad.inference.upsampled_conv import phase_groups
from wavegrad.network.conv import Conv, Resampling
from wavegrad.network.dblock import Downsampling
from wavegrad.pieces import Operator


class StreamReduce(Operator):
    """One value for `factor`: the mean ("strided"), the first ("nearest"), or the mean of the middle two ("linear")."""

    def __init__(self, factor: int, mode: Downsampling, lag: int):
        middle = (factor - 1) // 2, factor // 2 + 1
        self.first, self.stop = {"strided": (0, factor), "nearest": (0, 1), "linear": middle}[mode]
        self.factor = factor
        self.lag = -(-(lag + self.stop - factor) // factor)
        early = self.lag * factor - lag  # positions of the first group that came earlier, or lie still further on
        self.line = Line(max(0, early))
        self.skip = max(0, -early)

    def push(self, x: Signal) -> SignalOut:
        if self.factor == 1:
            return x
        n_out = x.shape[0] // self.factor
        both = self.line.push(x)
        if self.stop - self.first == self.factor:
            return both[: n_out * self.factor].unflatten(0, (n_out, self.factor)).mean(1)
        picked = [both[self.skip + i :: self.factor][:n_out] for i in range(self.first, self.stop)]
        return picked[0] if len(picked) == 1 else (picked[0] + picked[1]) * 0.5


class StreamUpsample(Operator):
    """Nearest repeats each value; linear leans on both neighbours, and at the ends of the signal on one."""

    def __init__(self, factor: int, mode: Resampling, rate: int, lag: int):
        self.factor = factor
        self.is_linear = mode == "linear" and factor > 1
        self.rate, self.input_lag = rate, lag
        self.lag = lag * factor + (factor // 2 if self.is_linear else 0)
        self.line = Line(1 if self.is_linear else 0)

    def push(self, x: Signal, window: Window) -> SignalOut:
        if self.factor == 1:
            return x
        if not self.is_linear:
            return x[:, None].expand(-1, self.factor, -1, -1).flatten(0, 1)
        both = self.line.push(x)
        if not (window.is_inside(self.rate, self.input_lag + 1) and window.is_inside(self.rate, self.input_lag)):
            both = self._held(both, window)
        before, after = both[:-1, None], both[1:, None]
        share = (torch.arange(self.factor, device=x.device) + (1 if self.factor % 2 else 0.5)) / self.factor
        return torch.lerp(before, after, share.to(x.dtype)[:, None, None]).flatten(0, 1)

    def _held(self, x: Signal, window: Window) -> Signal:
        """The outermost values go on beyond the ends."""
        start = torch.tensor(window.firsts, device=x.device) * self.rate - self.input_lag - 1
        position = start + torch.arange(x.shape[0], device=x.device)[:, None]
        stop = None if window.end is None else window.end * self.rate - 1
        index = (position.clamp(0, stop) - start).clamp(0, x.shape[0] - 1)
        return x.gather(0, index[:, :, None].expand_as(x))


class StreamUpsampledConv(Operator):
    """LeakyReLU, each value repeated, and a convolution, whose products are taken before the repeating: `factor` times
    fewer of them, as in `inference.upsampled_conv`.

    Args:
        conv: of three taps.
        rate: positions a frame of its input.
        lag: of its input.
        at_least: lag of its output.
    """

    def __init__(
        self, conv: Conv, factor: int, rate: int, lag: int, dtype: torch.dtype, slope: float, at_least: int = 0
    ):
        assert conv.bias is not None
        assert conv.kernel_size == (3,)
        self.bias = conv.bias.detach().to(dtype)
        self.taps = conv.weight.detach().permute(1, 2, 0).flatten(1).to(dtype).contiguous()
        self.factor, self.dilation, self.slope = factor, conv.dilation[0], slope
        self.rate, self.input_lag = rate, lag
        self.lag = max(at_least, lag * factor + self.dilation)
        self.groups = phase_groups(factor, self.dilation)
        self.reach = -(-self.dilation // factor)
        """Positions that a tap looks back."""
        early = self.lag - lag * factor
        self.n_early = -(-early // factor)
        """Positions before what is new that an output begins at."""
        self.start = self.n_early * factor - early
        self.line = Line(self.reach + self.n_early)

    def push(self, x: Signal, window: Window) -> SignalOut:
        x = F.leaky_relu(x, self.slope)
        if not window.is_inside(self.rate, self.input_lag):
            x.masked_fill_(~window.inside(self.rate, self.input_lag, x.device)[:, :, None], 0)
        both, new = self.line.room(x, self.taps.shape[1])
        torch.mm(x.flatten(0, 1), self.taps, out=new.flatten(0, 1))
        self.line.keep(both)
        left, middle, right = both.chunk(3, dim=2)
        n_rows = x.shape[0] + self.n_early  # the last one is not whole
        middle = middle[self.reach :] + self.bias
        y = x.new_empty(n_rows, self.factor, x.shape[1], len(self.bias))
        for group in self.groups:
            n = n_rows - group.right
            value = y[:n, group.first]
            torch.add(middle[:n], left[self.reach + group.left :][:n], out=value)
            value.add_(right[self.reach + group.right :][:n])
            if group.stop > group.first + 1:
                y[:n, group.first + 1 : group.stop] = value[:, None]
        return y.flatten(0, 1)[self.start : self.start + x.shape[0] * self.factor]


class StreamUpsampleThenConv(Operator):
    """The same in two steps, for linear interpolation, and where there is nothing to repeat."""

    def __init__(
        self,
        conv: Conv,
        factor: int,
        mode: Resampling,
        rate: int,
        lag: int,
        dtype: torch.dtype,
        slope: float,
        at_least: int = 0,
    ):
        self.slope = slope
        self.upsample = StreamUpsample(factor, mode, rate, lag)
        self.conv = StreamConv(conv, rate * factor, self.upsample.lag, dtype, at_least=at_least)
        self.lag = self.conv.lag

    def push(self, x: Signal, window: Window) -> SignalOut:
        return self.conv.push(self.upsample.push(F.leaky_relu(x, self.slope), window), window)
