"""How far one call of the network sees: computed from its configuration, sample by sample."""

from dataclasses import dataclass
from typing import NamedTuple

from wavegrad.network.config import WaveGradConfig
from wavegrad.network.conv import Resampling
from wavegrad.network.dblock import Downsampling


@dataclass(frozen=True)
class Reach:
    """The farthest positions that an output can depend on."""

    left: int
    """How many positions before its own."""
    right: int
    """How many positions after its own."""


@dataclass(frozen=True)
class ReceptiveField:
    """What one output sample depends on, at most; the reach of single samples differs with their place in the frame."""

    waveform: Reach
    """In samples, from the output sample."""
    mel: Reach
    """In frames, from the frame in which the output sample lies."""


class Span(NamedTuple):
    """Positions `first` to `last` of one feature, both included."""

    first: int
    last: int

    def __or__(self, other: "Span") -> "Span":
        return Span(min(self.first, other.first), max(self.last, other.last))

    def widen(self, reach: int) -> "Span":
        """By as much on either side: the inputs of a convolution of kernel 3 whose dilation is `reach`."""
        return Span(self.first - reach, self.last + reach)


def receptive_field(config: WaveGradConfig) -> ReceptiveField:
    """The receptive field of one network call.

    Every layer asks of its input the span that its own outputs were asked for, widened by its kernel; this walks from
    one output sample to both inputs. What it finds is exact, and repeats from frame to frame.
    """
    hop = config.hop_length
    fields = [inputs_of_sample(config, sample) for sample in range(hop)]
    samples = [(t, waveform) for t, (waveform, _) in enumerate(fields)]
    return ReceptiveField(
        Reach(max(t - span.first for t, span in samples), max(span.last - t for t, span in samples)),
        Reach(max(-span.first for _, span in fields), max(span.last for _, span in fields)),
    )


def inputs_of_sample(config: WaveGradConfig, sample: int) -> tuple[Span, Span]:
    """Samples of the waveform and frames of the mel that output `sample` depends on; there are no ends to run into."""
    u = Span(sample, sample).widen(1)  # output_conv
    films = []
    levels = list(zip(config.factors, config.ublock_dilations, strict=True))
    for factor, dilations in reversed(levels):
        film = u
        for block_factor in [1] * (config.blocks_per_level - 1) + [factor]:
            u, modulation = _ublock(u, block_factor, dilations, config.upsampling)
            film |= modulation
        films.append(film.widen(2))  # the two convolutions of the FiLM
    h = films.pop()
    for factor in config.factors[1:]:
        for block_factor in [1] * (config.blocks_per_level - 1) + [factor]:
            h = _dblock(h, block_factor, config.dblock_dilations, config.downsampling)
        h |= films.pop()
    return h.widen(2), u.widen(1)  # waveform_conv, mel_conv


def _ublock(out: Span, factor: int, dilations: tuple[int, int, int, int], mode: Resampling) -> tuple[Span, Span]:
    """What a UBlock needs of its input, and of its FiLM (before convolution 2, which sees farthest)."""
    d_1, d_2, d_3, d_4 = dilations
    modulated = out.widen(d_4).widen(d_3).widen(d_2)
    return _upsampled(modulated.widen(d_1), factor, mode), modulated


def _dblock(out: Span, factor: int, dilations: tuple[int, int, int], mode: Downsampling) -> Span:
    d_1, d_2, d_3 = dilations
    inner = out.widen(d_3).widen(d_2)
    if mode == "strided":
        return Span(inner.first * factor, inner.last * factor + factor - 1).widen(1)
    return _downsampled(inner.widen(d_1), factor, mode)


def _upsampled(out: Span, factor: int, mode: Resampling) -> Span:
    """Input of "repeat `factor` times", or of linear interpolation between (i + 1/2) * factor - 1/2."""
    if mode == "nearest":
        return Span(out.first // factor, out.last // factor)
    return Span((2 * out.first + 1 - factor) // (2 * factor), _ceil(2 * out.last + 1 - factor, 2 * factor))


def _downsampled(out: Span, factor: int, mode: Resampling) -> Span:
    """Input of "take every `factor`-th", or of linear interpolation at (i + 1/2) * factor - 1/2."""
    if mode == "nearest":
        return Span(out.first * factor, out.last * factor)
    return Span((2 * out.first * factor + factor - 1) // 2, _ceil(2 * out.last * factor + factor - 1, 2))


def _ceil(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
