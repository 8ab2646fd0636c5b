"""Streaming forms of the layers that see more than one position, or change the rate."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.network.conv import Conv, Resampling, upsample
from wavegrad.network.dblock import mean_of
from wavegrad.pieces import Buffer, Join, Operator, Piece

SMALL = 100_000
"""Inputs of fewer values are convolved by matrix products: torch has slow code for small convolutions with dilation
(on one core, float32, 32 to 384 channels: up to 11 times as long at one frame, as long at this size)."""


class StreamConv(Operator):
    """A convolution that waits for the right end of its kernel; the zeros of its padding stand at the ends only."""

    def __init__(self, conv: Conv):
        assert conv.bias is not None
        self.weight, self.bias = conv.weight.detach(), conv.bias.detach()
        self.taps = list(self.weight.permute(2, 1, 0).contiguous())
        self.stride, self.dilation = conv.stride[0], conv.dilation[0]
        self.kernel_span = self.dilation * (conv.kernel_size[0] - 1) + 1
        padding = int(conv.padding[0])
        self.buffer = Buffer(padding, padding)
        self.start = 0

    def push(self, piece: Piece) -> Piece:
        x = self.buffer.append(piece)
        n_out = max(0, (x.shape[2] - self.kernel_span) // self.stride + 1)
        self.buffer.drop(n_out * self.stride)
        start, self.start = self.start, self.start + n_out
        return Piece(start, self._convolved(x) if n_out else x.new_empty(len(x), len(self.weight), 0), piece.last)

    def _convolved(self, x: Tensor) -> Tensor:
        if len(x) == 1 and x.device.type == "cpu" and x.numel() < SMALL:
            return self._summed(x[0].mT).mT[None]
        weight = self.weight.unsqueeze(2)
        return F.conv2d(x.unsqueeze(2), weight, self.bias, (1, self.stride), dilation=(1, self.dilation)).squeeze(2)

    def _summed(self, x: Float[Tensor, "time channels"]) -> Float[Tensor, "time_out channels_out"]:
        """A matrix product for each tap."""
        reach = len(x) - self.kernel_span + 1
        y = torch.addmm(self.bias, x[: reach : self.stride], self.taps[0])
        for k, tap in enumerate(self.taps[1:], start=1):
            y.addmm_(x[k * self.dilation :][: reach : self.stride].to(y.dtype), tap.to(y.dtype))
        return y


class StreamMeans(Operator):
    """Means of `factor` neighbours: `batch channels time` -> `batch channels time/factor`."""

    def __init__(self, factor: int):
        self.factor = factor
        self.buffer = Buffer()

    def push(self, piece: Piece) -> Piece:
        x = self.buffer.append(piece)
        n_out = x.shape[2] // self.factor
        start = (piece.stop - x.shape[2]) // self.factor
        self.buffer.drop(n_out * self.factor)
        whole = x[..., : n_out * self.factor]
        return Piece(start, mean_of(whole, self.factor) if n_out else whole, piece.last)


class StreamDownsample(Operator):
    """Nearest picks the first of `factor` values; linear the middle one, or the mean of the middle two."""

    def __init__(self, factor: int, mode: Resampling):
        self.factor = factor
        self.picked = [0] if mode == "nearest" else sorted({(factor - 1) // 2, factor // 2})
        self.mean = Join(_mean, len(self.picked))

    def push(self, piece: Piece) -> Piece:
        return self.mean.push(*(self._pick(piece, offset) for offset in self.picked))

    def _pick(self, piece: Piece, offset: int) -> Piece:
        """Every `factor`-th value, from position `offset` on."""
        first = max(0, -(-(piece.start - offset) // self.factor))
        return Piece(first, piece.values[..., first * self.factor + offset - piece.start :: self.factor], piece.last)


class StreamUpsample(Operator):
    """Nearest needs no memory; linear waits for the next value where it leans on it. The ends lean on nothing."""

    def __init__(self, factor: int, mode: Resampling):
        self.factor = factor
        self.mode: Resampling = mode
        self.buffer = Buffer()
        self.start = 0

    def push(self, piece: Piece) -> Piece:
        if self.mode == "nearest" or self.factor == 1:
            return Piece(piece.start * self.factor, self._upsampled(piece.values), piece.last)
        x = self.buffer.append(piece)
        n_known = piece.stop * self.factor if piece.last else self._position_of(piece.stop - 1)
        first = (piece.stop - x.shape[2]) * self.factor  # what linear interpolation makes of x begins here
        start, self.start = self.start, max(0, n_known)
        self.buffer.drop(max(0, x.shape[2] - 1))
        return Piece(start, self._upsampled(x)[..., start - first : self.start - first], piece.last)

    def _position_of(self, index: int) -> int:
        """How many outputs lie at or before input `index`; the others need its successor too."""
        return index * self.factor + (self.factor + 1) // 2

    def _upsampled(self, x: Tensor) -> Tensor:
        return upsample(x, self.factor, self.mode) if x.shape[2] else x


def _mean(first: Tensor, *others: Tensor) -> Tensor:
    return (first + others[0]) * 0.5 if others else first
