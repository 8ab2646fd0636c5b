"""Streaming forms of DBlock, FiLM and UBlock, with the weights of the blocks they are made from."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from wavegrad.inference.streaming.layers import StreamConv, StreamDownsample, StreamMeans, StreamUpsample
from wavegrad.network.conv import Conv
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM, modulate
from wavegrad.network.ublock import UBlock
from wavegrad.pieces import Join, Operator, Piece
from wavegrad.shapes import NoiseLevel


class StreamDBlock(Operator):
    """The main branch is later than the residual one, which waits."""

    def __init__(self, block: DBlock):
        self.activate = partial(F.leaky_relu, negative_slope=block.slope)
        self.strided = block.mode == "strided"
        self.reduce = (
            StreamMeans(block.factor) if block.mode == "strided" else StreamDownsample(block.factor, block.mode)
        )
        self.residual = StreamConv(block.residual)
        self.convs = [StreamConv(conv) for conv in _convs(block)]
        self.sum = Join(torch.add)

    def push(self, x: Piece) -> Piece:
        reduced = self.reduce.push(x)
        h = x if self.strided else reduced
        for conv in self.convs:
            h = conv.push(h.map(self.activate))
        return self.sum.push(h, self.residual.push(reduced))


class StreamFiLM(Operator):
    """Scale and shift as one signal, of twice the channels."""

    def __init__(self, film: FiLM):
        self.film = film
        self.input = StreamConv(film.input)
        self.output = StreamConv(film.output)
        self.embedded: Tensor | None = None

    def bind(self, noise_level: NoiseLevel) -> None:
        """The noise level of each item of the batch, from here on."""
        self.embedded = self.film.embedding(noise_level)[:, :, None]

    def push(self, x: Piece) -> Piece:
        return self.output.push(self.input.push(x).map(self._embed))

    def _embed(self, x: Tensor) -> Tensor:
        assert self.embedded is not None, "no noise level"
        h = self.film.activation(x)
        return h + self.embedded.to(h.dtype)


class StreamUBlock(Operator):
    """Each of the three modulations takes the FiLM at its own delay."""

    def __init__(self, block: UBlock):
        self.activate = partial(F.leaky_relu, negative_slope=block.slope)
        self.residual = StreamConv(block.residual)
        self.upsample_residual = StreamUpsample(block.factor, block.mode)
        self.upsample = StreamUpsample(block.factor, block.mode)
        self.convs = [StreamConv(conv) for conv in _convs(block)]
        self.modulations = [Join(_modulate) for _ in range(3)]
        self.inner_sum, self.outer_sum = Join(torch.add), Join(torch.add)

    def push(self, x: Piece, film: Piece) -> Piece:
        conv_1, conv_2, conv_3, conv_4 = self.convs
        modulate_2, modulate_3, modulate_4 = self.modulations
        residual = self.upsample_residual.push(self.residual.push(x))
        h = conv_1.push(self.upsample.push(x.map(self.activate)))
        h = self.inner_sum.push(conv_2.push(modulate_2.push(h, film).map(self.activate)), residual)
        u = conv_3.push(modulate_3.push(h, film).map(self.activate))
        u = conv_4.push(modulate_4.push(u, film).map(self.activate))
        return self.outer_sum.push(h, u)


def _modulate(x: Tensor, film: Tensor) -> Tensor:
    scale, shift = film.chunk(2, dim=1)
    return modulate(x, (scale, shift))


def _convs(block: DBlock | UBlock) -> list[Conv]:
    convs = list(block.convs)
    assert all(isinstance(conv, Conv) for conv in convs)
    return convs  # type: ignore[return-value]
