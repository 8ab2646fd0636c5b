"""Streaming forms of DBlock, FiLM and UBlock, with the weights of the blocks they are made from."""

import torch
from torch import Tensor

from wavegrad.inference.streaming.conv import StreamConv
from wavegrad.inference.streaming.memory import Delay, Signal, SignalOut
from wavegrad.inference.streaming.resampling import (
    StreamReduce,
    StreamUpsample,
    StreamUpsampledConv,
    StreamUpsampleThenConv,
)
from wavegrad.inference.streaming.window import Window
from wavegrad.network.conv import Conv
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.pieces import Operator
from wavegrad.shapes import NoiseLevel


class StreamDBlock(Operator):
    """The main branch is later than the residual one, which waits."""

    def __init__(self, block: DBlock, rate: int, lag: int, dtype: torch.dtype):
        self.strided = block.mode == "strided"
        self.rate = rate // block.factor
        self.reduce = StreamReduce(block.factor, block.mode, lag)
        self.residual = StreamConv(block.residual, self.rate, self.reduce.lag, dtype)
        self.convs = []
        if not self.strided:
            rate, lag = self.rate, self.reduce.lag
        for conv in _convs(block):
            self.convs.append(StreamConv(conv, rate, lag, dtype, block.slope))
            rate, lag = self.rate, self.convs[-1].lag
        self.lag = lag
        self.wait = Delay(lag - self.residual.lag)

    def push(self, x: Signal, window: Window) -> SignalOut:
        reduced = self.reduce.push(x)
        h = x if self.strided else reduced
        for conv in self.convs[:-1]:
            h = conv.push(h, window)
        return self.convs[-1].push(h, window, onto=self.wait.push([self.residual.push(reduced, window)]))


class StreamFiLM(Operator):
    """Scale and shift as one signal, of twice the channels.

    Args:
        lag: of the FiLM. Its input, which has fewer channels, waits until it can be so late.
    """

    def __init__(self, film: FiLM, rate: int, input_lag: int, lag: int, dtype: torch.dtype):
        self.film = film
        self.input = StreamConv(film.input, rate, input_lag, dtype, at_least=lag - int(film.output.padding[0]))
        self.output = StreamConv(film.output, rate, self.input.lag, dtype, film.slope)
        assert self.output.lag == lag
        self.embedded: Tensor | None = None

    def bind(self, noise_level: NoiseLevel) -> None:
        """The noise level of each item of the batch, from here on."""
        self.embedded = self.film.embedding(noise_level).to(self.output.bias.dtype)

    def push(self, x: Signal, window: Window) -> SignalOut:
        assert self.embedded is not None, "no noise level"
        return self.output.push(self.input.push(x, window), window, offset=self.embedded)


def film_lag(film: FiLM, lag: int) -> int:
    """Of a FiLM that does not wait."""
    return lag + int(film.input.padding[0]) + int(film.output.padding[0])


class StreamUBlock(Operator):
    """Each of the three modulations takes the FiLM at its own delay."""

    def __init__(self, block: UBlock, rate: int, lag: int, film_lag: int, dtype: torch.dtype):
        conv_1, conv_2, conv_3, conv_4 = _convs(block)
        self.slope, self.rate = block.slope, rate * block.factor
        self.residual = StreamConv(block.residual, rate, lag, dtype)
        self.upsample_residual = StreamUpsample(block.factor, block.mode, rate, lag)
        self.conv_1 = (
            StreamUpsampledConv(conv_1, block.factor, rate, lag, dtype, self.slope, film_lag)
            if block.mode == "nearest" and block.factor > 1
            else StreamUpsampleThenConv(conv_1, block.factor, block.mode, rate, lag, dtype, self.slope, film_lag)
        )
        self.film_lag = self.conv_1.lag
        self.conv_2 = StreamConv(conv_2, self.rate, self.film_lag, dtype, self.slope)
        self.conv_3 = StreamConv(conv_3, self.rate, self.conv_2.lag, dtype, self.slope)
        self.conv_4 = StreamConv(conv_4, self.rate, self.conv_3.lag, dtype, self.slope)
        self.lag = self.conv_4.lag
        self.wait_residual = Delay(self.conv_2.lag - self.upsample_residual.lag)
        self.wait_sum = Delay(self.lag - self.conv_2.lag)
        self.film_3 = Delay(self.conv_2.lag - self.film_lag)
        self.film_4 = Delay(self.conv_3.lag - self.conv_2.lag)

    def push(self, x: Signal, films: list[Tensor], window: Window) -> SignalOut:
        """`films`: pieces of the FiLM, `film_lag` late."""
        residual = self.upsample_residual.push(self.residual.push(x, window), window)
        h = self.conv_1.push(x, window)
        h = self.conv_2.push(h, window, films, onto=self.wait_residual.push([residual]))
        films = self.film_3.push(films)
        u = self.conv_3.push(h, window, films)
        return self.conv_4.push(u, window, self.film_4.push(films), onto=self.wait_sum.push([h]))


def _convs(block: DBlock | UBlock) -> list[Conv]:
    convs = list(block.convs)
    assert all(isinstance(conv, Conv) for conv in convs)
    return convs  # type: ignore[return-value]
