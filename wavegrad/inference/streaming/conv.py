"""The streaming form of a convolution."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from wavegrad.inference.streaming.memory import Line, Signal, SignalOut, Workspace
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
        at_least: lag of its output; where it could be earlier, more of the input is remembered.
    """

    def __init__(
        self, conv: Conv, rate: int, lag: int, dtype: torch.dtype, slope: float | None = None, at_least: int = 0
    ):
        assert conv.bias is not None
        (kernel,), (self.stride,), (self.dilation,) = conv.kernel_size, conv.stride, conv.dilation
        padding, reach = int(conv.padding[0]), self.dilation * (kernel - 1)
        self.bias = conv.bias.detach().to(dtype)
        self.taps = list(conv.weight.detach().permute(2, 1, 0).to(dtype).contiguous())
        self.slope = slope
        self.rate, self.input_lag = rate, lag
        self.lag = max(at_least, -(-(lag + 1 - self.stride - padding + reach) // self.stride))
        self.line = Line(self.lag * self.stride + padding - lag)
        self.room: _Room | None = None

    def push(
        self,
        x: Signal,
        window: Window,
        films: Sequence[Tensor] = (),
        offset: Tensor | None = None,
        onto: Sequence[Tensor] = (),
    ) -> SignalOut:
        """The convolution of what is new.

        Args:
            films: scale and shift of x, in pieces.
            offset: `batch channels`, added behind the LeakyReLU.
            onto: a signal to add the result to, in pieces.
        """
        if not self.line.length:
            n_out = x.shape[0] // self.stride
            return self._convolved(self._parts(x, n_out), x.shape[1], onto)
        room = self.room
        if room is None or room.new.shape != x.shape or room.memory is not window.workspace.memory:
            room = self.room = self._room(x, window.workspace)
        self.line.recall(room.past)
        self._write(x, films, offset, room.new)
        if not window.is_inside(self.rate, self.input_lag):
            room.new.masked_fill_(~window.inside(self.rate, self.input_lag, x.device)[:, :, None], 0)
        self.line.remember(room.end)
        return self._convolved(room.parts, x.shape[1], onto)

    def _room(self, x: Tensor, workspace: Workspace) -> "_Room":
        """For what is remembered and a piece like x."""
        length = self.line.length
        shape = (length + x.shape[0], *x.shape[1:])
        both = workspace.of(math.prod(shape), x).view(shape)
        assert workspace.memory is not None
        parts = self._parts(both, x.shape[0] // self.stride)
        return _Room(workspace.memory, both[:length], both[length:], both[x.shape[0] :], parts)

    def _parts(self, x: Tensor, n_out: int) -> list[Tensor]:
        """What each tap multiplies: matrices, or, with a stride, what is yet to become one."""
        starts = [k * self.dilation for k in range(len(self.taps))]
        if self.stride > 1:
            return [x[start :: self.stride][:n_out] for start in starts]
        return [x[start : start + n_out].flatten(0, 1) for start in starts]

    def _write(self, x: Tensor, films: Sequence[Tensor], offset: Tensor | None, target: Tensor) -> None:
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
        if offset is not None:
            target.add_(offset)

    def _convolved(self, parts: list[Tensor], n_batch: int, onto: Sequence[Tensor]) -> Tensor:
        """A matrix product for each tap.

        oneDNN's convolution, which the engine has, is no faster here: what it does before it begins takes as long as a
        layer of a small chunk.
        """
        y = self._sum_with_bias(onto) if onto else None
        for part, tap in zip(parts, self.taps, strict=True):
            part = part if self.stride == 1 else part.flatten(0, 1)
            y = torch.addmm(self.bias, part, tap) if y is None else y.addmm_(part, tap)
        assert y is not None
        return y.view(-1, n_batch, y.shape[1])

    def _sum_with_bias(self, pieces: Sequence[Tensor]) -> Tensor:
        """As a matrix."""
        if len(pieces) == 1:
            return (pieces[0] + self.bias).flatten(0, 1)
        n = sum(piece.shape[0] for piece in pieces)
        y = pieces[0].new_empty((n, *pieces[0].shape[1:]))
        start = 0
        for piece in pieces:
            torch.add(piece, self.bias, out=y[start : start + piece.shape[0]])
            start += piece.shape[0]
        return y.flatten(0, 1)


class _Room(NamedTuple):
    """Views of the workspace."""

    memory: Tensor
    """Of which they are views."""
    past: Tensor
    new: Tensor
    end: Tensor
    """What is to be remembered."""
    parts: list[Tensor]
    """What each tap multiplies."""
