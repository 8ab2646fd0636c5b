"""The streaming form of a convolution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wavegrad.inference.streaming.memory import Line, Signal, SignalOut
from wavegrad.inference.streaming.window import Window
from wavegrad.network.conv import Conv
from wavegrad.pieces import Operator


class StreamConv(Operator):
    """Convolution; by choice FiLM and LeakyReLU before it. Beyond the ends of the signal lie zeros.

    Args:
        conv: whose weights it has.
        rate: positions a frame of its input.
        lag: of its input.
        slope: of the LeakyReLU; None: without.
    """

    def __init__(self, conv: Conv, rate: int, lag: int, dtype: torch.dtype, slope: float | None = None):
        assert conv.bias is not None
        (kernel,), (self.stride,), (self.dilation,) = conv.kernel_size, conv.stride, conv.dilation
        padding, reach = int(conv.padding[0]), self.dilation * (kernel - 1)
        self.bias = conv.bias.detach().to(dtype)
        self.taps = list(conv.weight.detach().permute(2, 1, 0).to(dtype).contiguous())
        self.slope = slope
        self.rate, self.input_lag = rate, lag
        self.lag = -(-(lag + 1 - self.stride - padding + reach) // self.stride)
        self.line = Line(self.lag * self.stride + padding - lag)

    def push(self, x: Signal, window: Window, films: Sequence[Tensor] = ()) -> SignalOut:
        """`films`: scale and shift of x, in pieces."""
        n_out = x.shape[0] // self.stride
        if not self.line.length:
            return self._convolved(x, n_out)
        both, new = self.line.room(x)
        self._write(x, films, new)
        if not window.is_inside(self.rate, self.input_lag):
            new.masked_fill_(~window.inside(self.rate, self.input_lag, x.device)[:, :, None], 0)
        self.line.keep(both)
        return self._convolved(both, n_out)

    def _write(self, x: Tensor, films: Sequence[Tensor], target: Tensor) -> None:
        """What is convolved: in one go, because small convolutions wait for memory."""
        if films:
            start = 0
            for film in films:
                part = slice(start, start + film.shape[0])
                scale, shift = film.chunk(2, dim=2)
                torch.addcmul(shift, scale, x[part], out=target[part])
                start += film.shape[0]
            x = target
        if self.slope is not None:
            torch.ops.aten.leaky_relu.out(x, self.slope, out=target)
        elif not films:
            target.copy_(x)

    def _convolved(self, x: Tensor, n_out: int) -> Tensor:
        """A matrix product for each tap."""
        n_batch, n_rows = x.shape[1], n_out * x.shape[1]
        rows = x.flatten(0, 1)
        y = None
        for k, tap in enumerate(self.taps):
            start = k * self.dilation
            if self.stride == 1:
                part = rows[start * n_batch : start * n_batch + n_rows]
            else:
                part = x[start :: self.stride][:n_out].flatten(0, 1)
            y = torch.addmm(self.bias, part, tap) if y is None else y.addmm_(part, tap)
        assert y is not None
        return y.unflatten(0, (n_out, n_batch))
