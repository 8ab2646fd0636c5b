"""Multiply-accumulates, counted from the configuration: as the paper draws them, as the network and the engine do."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from wavegrad.network import WaveGradConfig

Part = Literal["mel", "waveform", "dblocks", "films", "ublocks", "output"]


@dataclass(frozen=True)
class Count:
    """Multiply-accumulates for each frame, of one layer or a sum of some."""

    part: Part
    paper: Fraction
    """As the figure of the paper has it: the residual convolution of a UBlock after the upsampling."""
    network: Fraction
    """As the network is written."""
    engine: Fraction
    """What the engine does at every step."""
    once: Fraction = Fraction(0)
    """What the engine does once for each utterance."""


@dataclass(frozen=True)
class Operations:
    """Counts of a network for one second of audio."""

    paper: float
    """Multiply-accumulates of a step as the paper draws it: residual convolutions of UBlocks after the upsampling."""
    network: float
    """Of a step as the network is written."""
    engine: float
    """Of a step by the engine."""
    once: float
    """By the engine once for each utterance, whatever the number of steps."""
    parts: dict[Part, tuple[float, float]]
    """`network` and `engine` of each part."""

    def total(self, n_steps: int) -> float:
        """By the engine for one second of audio."""
        return self.once + n_steps * self.engine

    def of_stream(self, n_steps: int) -> float:
        """By a stream for one second of audio: its steps share the layer that reads the mel, and nothing else.

        With linear upsampling a stream takes `network`'s products of the first convolutions of UBlocks, which are not
        told apart here.
        """
        mel = self.parts["mel"][0]
        return mel + n_steps * (self.engine + self.once - mel)


def count_operations(config: WaveGradConfig, sample_rate: int) -> Operations:
    """Count the products of weights with features; borders, activations and noise levels are left out.

    Args:
        config: the network.
        sample_rate: Hz, of the audio that it makes.
    """
    counts = list(_layers(config))
    frames_per_second = Fraction(sample_rate, config.hop_length)

    def per_second(values: Iterator[Fraction]) -> float:
        return float(sum(values, Fraction(0)) * frames_per_second)

    def of(part: Part) -> tuple[float, float]:
        own = [count for count in counts if count.part == part]
        return per_second(c.network for c in own), per_second(c.engine for c in own)

    parts: tuple[Part, ...] = ("mel", "waveform", "dblocks", "films", "ublocks", "output")
    return Operations(
        per_second(c.paper for c in counts),
        per_second(c.network for c in counts),
        per_second(c.engine for c in counts),
        per_second(c.once for c in counts),
        {part: of(part) for part in parts},
    )


def _layers(c: WaveGradConfig) -> Iterator[Count]:
    hop = Fraction(c.hop_length)
    mel = Fraction(3 * c.n_mels * c.mel_channels)
    yield Count("mel", mel, mel, Fraction(0), mel)
    yield _same("waveform", hop * 5 * c.waveform_channels)
    yield _same("output", hop * 3 * c.ublock_channels[-1] * (2 if c.learned_variance else 1))
    yield from _up(c)
    rate, n_in = hop, c.waveform_channels
    widths = zip((*c.dblock_channels, 0), reversed(c.ublock_channels), (*reversed(c.factors[1:]), 1), strict=True)
    for n_down, n_up, factor in widths:
        yield _same("films", rate * 3 * (n_in * n_in + n_in * 2 * n_up))
        if n_down:
            for n, f in [(n_in, factor)] + [(n_down, 1)] * (c.blocks_per_level - 1):
                yield _dblock(c, rate, n, n_down, f)
                rate /= f
            n_in = n_down


def _dblock(c: WaveGradConfig, rate: Fraction, n_in: int, n_out: int, factor: int) -> Count:
    """The engine picks or interpolates before the residual convolution; so does a strided block already."""
    low = rate / factor
    first = factor + 2 if c.downsampling == "strided" else 3
    main = low * (first * n_in * n_out + 6 * n_out * n_out)
    residual = low * n_in * n_out
    written = main + (residual if c.downsampling == "strided" else residual * factor)
    return Count("dblocks", written, written, main + residual)


def _up(c: WaveGradConfig) -> Iterator[Count]:
    """The engine takes the products of the first convolution at the low rate; those of the first UBlock once."""
    rate, n_in, first_block = Fraction(1), c.mel_channels, True
    for n_out, factor in zip(c.ublock_channels, c.factors, strict=True):
        for n, f in [(n_in, factor)] + [(n_out, 1)] * (c.blocks_per_level - 1):
            residual, first = rate * n * n_out, rate * 3 * n * n_out
            rate *= f
            others = rate * 9 * n_out * n_out
            once = residual + first if first_block else Fraction(0)
            written = residual + first * f + others
            yield Count("ublocks", written + residual * (f - 1), written, residual + first - once + others, once)
            first_block = False
        n_in = n_out


def _same(part: Part, operations: Fraction) -> Count:
    return Count(part, operations, operations, operations)
