"""The streaming form of the network."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.streaming.blocks import StreamDBlock, StreamFiLM, StreamUBlock, film_lag
from wavegrad.inference.streaming.conv import StreamConv
from wavegrad.inference.streaming.memory import Delay, Signal, SignalOut
from wavegrad.inference.streaming.window import Window
from wavegrad.network import WaveGrad
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.pieces import Operator
from wavegrad.shapes import Mel, NoiseLevel


class StreamMelConv(Operator):
    """The layer that reads the mel. It knows no noise, so all steps share one."""

    def __init__(self, network: WaveGrad, dtype: torch.dtype):
        self.config = network.config
        self.dtype = dtype
        self.conv = StreamConv(network.mel_conv, 1, 0, dtype)

    def push(self, mel: Mel, window: Window) -> Float[Tensor, "frames batch channels"]:
        """What is new of the mel, `batch n_mels frames`."""
        normal = (mel - self.config.mel_mean) / self.config.mel_std
        return self.conv.push(normal.permute(2, 0, 1).to(self.dtype), window)


class StreamNetwork(Operator):
    """epsilon_theta without the layer that reads the mel: `WaveGrad.forward` in pieces.

    Its operators are found by walking the modules of the network, each with a memory of its own. Forks share weights.

    Args:
        network: its weights must not change meanwhile.
        condition_lag: that of `StreamMelConv`, in frames.
        dtype: of its arithmetic.
    """

    def __init__(self, network: WaveGrad, condition_lag: int, dtype: torch.dtype):
        self.dtype = dtype
        self.hop_length = rate = network.config.hop_length
        self.waveform_conv = StreamConv(network.waveform_conv, rate, 0, dtype)
        self.down = _Down(network, rate, self.waveform_conv.lag, dtype)
        self.up = _Up(network, condition_lag, self.down.lags, dtype)
        self.output_conv = StreamConv(network.output_conv, rate, self.up.lag, dtype)
        self.lag = self.output_conv.lag

    def bind(self, noise_level: NoiseLevel) -> None:
        """The noise level of each item of the batch, from here on."""
        for film in self.up.films:
            film.bind(noise_level)

    def push(
        self, y: Float[Tensor, "time batch"], condition: Float[Tensor, "frames batch _"], window: Window
    ) -> Float[Tensor, "time batch"]:
        """The prediction, `lag` samples late.

        Args:
            y: what is new of the noisy waveform.
            condition: what is new of the mel, read by `StreamMelConv`.
        """
        h = self.waveform_conv.push(y[:, :, None].to(self.dtype), window)
        u = self.up.push(condition, self.down.push(h, window), window)
        return self.output_conv.push(u, window)[:, :, 0]  # beside it, a learned variance


@dataclass(frozen=True, eq=False)
class StreamLayers:
    """A network laid out for streams: operators that have seen nothing yet. Streams fork them and share the weights."""

    mel_conv: StreamMelConv
    network: StreamNetwork
    device: torch.device
    """Of the weights."""

    @classmethod
    def prepare(cls, network: WaveGrad, dtype: torch.dtype | None = None) -> "StreamLayers":
        """Lay out the weights of a network, which must not change meanwhile.

        Args:
            dtype: of the arithmetic; left out, that of the weights.
        """
        parameter = next(network.parameters())
        dtype = dtype or parameter.dtype
        mel_conv = StreamMelConv(network, dtype)
        return cls(mel_conv, StreamNetwork(network, mel_conv.conv.lag, dtype), parameter.device)


class _Down(Operator):
    """The DBlocks."""

    def __init__(self, network: WaveGrad, rate: int, lag: int, dtype: torch.dtype):
        self.n_blocks = network.config.blocks_per_level
        self.blocks: list[StreamDBlock] = []
        self.lags = [lag]
        """Of the outputs."""
        for level in network.dblocks:
            for block in level.children():
                assert isinstance(block, DBlock)
                self.blocks.append(StreamDBlock(block, rate, lag, dtype))
                rate, lag = self.blocks[-1].rate, self.blocks[-1].lag
            self.lags.append(lag)

    def push(self, h: Signal, window: Window) -> list[Tensor]:
        """The features of each rate, from the highest down."""
        made = [h]
        for i, block in enumerate(self.blocks, start=1):
            h = block.push(h, window)
            if i % self.n_blocks == 0:
                made.append(h)
        return made


class _Up(Operator):
    """The UBlocks, each level with the FiLM of its rate."""

    def __init__(self, network: WaveGrad, lag: int, h_lags: list[int], dtype: torch.dtype):
        self.n_blocks = network.config.blocks_per_level
        self.films: list[StreamFiLM] = []
        self.blocks: list[StreamUBlock] = []
        self.waits: list[Delay] = []
        rate = 1
        for level, film, h_lag in zip(network.ublocks, reversed(network.films), reversed(h_lags), strict=True):
            assert isinstance(film, FiLM)
            ready = film_lag(film, h_lag)
            for i, block in enumerate(level.children()):
                assert isinstance(block, UBlock)
                self.blocks.append(StreamUBlock(block, rate, lag, ready, dtype))
                made = self.blocks[-1]
                if i == 0:
                    self.films.append(StreamFiLM(film, made.rate, h_lag, made.film_lag, dtype))
                self.waits.append(Delay(made.film_lag - ready if i else 0))
                ready, rate, lag = made.film_lag, made.rate, made.lag
        self.lag = lag

    def push(self, u: Signal, features: list[Tensor], window: Window) -> SignalOut:
        """`features` from the highest rate down."""
        films: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            level = i // self.n_blocks
            if i % self.n_blocks == 0:
                films = [self.films[level].push(features[-1 - level], window)]
            films = self.waits[i].push(films)
            u = block.push(u, films, window)
        return u
