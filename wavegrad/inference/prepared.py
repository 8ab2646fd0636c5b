"""The network with all weights prepared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wavegrad.inference.blocks import PreparedDBlock, PreparedUBlock, Started
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import Film, LevelBias, Modulate, OneLevel, PreparedFiLM, modulated
from wavegrad.inference.layers import Convolution, float_of
from wavegrad.inference.rows import Fusion, RowsOut
from wavegrad.network import WaveGrad, WaveGradConfig
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.shapes import Mel, Waveform

AllEnds = tuple[Ends, ...]
"""Ends at the rate of the frames, then after each UBlock."""


@dataclass(frozen=True)
class Condition:
    """All that depends on the mel and on nothing else: computed once for each utterance."""

    started: Started
    """Of the first UBlock."""
    ends: AllEnds


@dataclass(frozen=True)
class PreparedNetwork:
    """A WaveGrad in pieces: `condition` once for each utterance, `levels` once for each noise level, `step` the rest.

    The result is the network's, to rounding; `prepare` says in which precision.
    """

    config: WaveGradConfig
    mel_conv: Convolution
    waveform_conv: Convolution
    dblocks: tuple[tuple[PreparedDBlock, ...], ...]
    films: tuple[PreparedFiLM, ...]
    """From samples to frames, as in the network."""
    ublocks: tuple[tuple[PreparedUBlock, ...], ...]
    output_conv: Convolution

    @classmethod
    def prepare(
        cls, network: WaveGrad, dtype: torch.dtype, modulate: Modulate = modulated, fusion: Fusion | None = None
    ) -> "PreparedNetwork":
        """Lay out the weights of a network; they are copied.

        Args:
            dtype: of the products; torch.int8 leaves the outer convolutions in float32.
            modulate: what FiLM does to a feature.
            fusion: what is done in one pass (`onednn_convolution`, `FusedRows`).
        """
        return cls(
            network.config,
            Convolution.prepare(network.mel_conv, float_of(dtype)),
            Convolution.prepare(network.waveform_conv, float_of(dtype)),
            tuple(
                tuple(PreparedDBlock.prepare(block, dtype, fusion) for block in level if isinstance(block, DBlock))
                for level in map(_list, network.dblocks)
            ),
            tuple(PreparedFiLM.prepare(film, dtype, fusion) for film in network.films if isinstance(film, FiLM)),
            tuple(
                tuple(
                    PreparedUBlock.prepare(block, dtype, modulate, fusion)
                    for block in level
                    if isinstance(block, UBlock)
                )
                for level in map(_list, network.ublocks)
            ),
            Convolution.prepare(network.output_conv, float_of(dtype)),
        )

    @property
    def dtype(self) -> torch.dtype:
        """Precision of what lies between layers."""
        return self.mel_conv.weight.dtype

    def ends(self, frames: Sequence[int], n_frames: int) -> AllEnds:
        """Where items of so many `frames` end in a batch of `n_frames`, at every rate."""
        factors = self.config.factors
        rates = [math.prod(factors[:i]) for i in range(len(factors) + 1)]
        if min(frames) == n_frames:
            return tuple(Ends() for _ in rates)
        lengths = torch.tensor(frames, device=self.mel_conv.weight.device)
        return tuple(Ends.at_rate(lengths, n_frames, rate, self.dtype) for rate in rates)

    def condition(self, mel: Mel, ends: AllEnds | None = None) -> Condition:
        """The first convolution, and the first UBlock up to its first FiLM.

        Args:
            mel: `batch n_mels frames`, of the items that `ends` was made for; any values beyond their ends.
            ends: left out, all items fill the batch.
        """
        ends = (Ends(),) * (len(self.config.factors) + 1) if ends is None else ends
        x = ((mel - self.config.mel_mean) / self.config.mel_std).to(self.dtype).transpose(1, 2).contiguous()
        u = ends[0].clear_(self.mel_conv(ends[0].clear_(x)))
        return Condition(self.ublocks[0][0].start(u, ends[0], ends[1]), ends)

    def levels(self, noise_level: OneLevel) -> tuple[LevelBias, ...]:
        """What the FiLMs add for a noise level; always computed in the precision of the model."""
        return tuple(film.at(noise_level) for film in self.films)

    def step(self, y: Waveform, condition: Condition, levels: tuple[LevelBias, ...]) -> Waveform:
        """Predict the noise in `y`, `batch time`; beyond the ends the result means nothing."""
        features, ends = self._down(y, condition.ends), condition.ends
        u = self._up_level(0, condition.started, self._film(0, features.pop(), levels, ends), ends[1])
        for i in range(1, len(self.ublocks)):
            started = self.ublocks[i][0].start(u, ends[i], ends[i + 1])
            u = self._up_level(i, started, self._film(i, features.pop(), levels, ends), ends[i + 1])
        return self.output_conv(u)[:, :, 0]

    def _film(self, i: int, feature: RowsOut, levels: tuple[LevelBias, ...], ends: AllEnds) -> Film:
        """Scale and shift of a level of UBlocks: made when it needs them, so that those of two levels are never held at
        once."""
        return self.films[-1 - i](feature, levels[-1 - i], ends[i + 1])

    def _up_level(self, i: int, started: Started, film: Film, ends: Ends) -> RowsOut:
        u = self.ublocks[i][0].finish(started, film, ends)
        for block in self.ublocks[i][1:]:
            u = block.finish(block.start(u, ends, ends), film, ends)
        return u

    def _down(self, y: Waveform, ends: AllEnds) -> list[Tensor]:
        """What the FiLMs see, from samples to frames."""
        x = y.to(self.dtype)[:, :, None]
        h = ends[-1].clear_(self.waveform_conv(x if ends[-1].mask is None else x * ends[-1].mask))
        features = [h]
        for i, blocks in enumerate(self.dblocks):
            for block in blocks:
                h = block(h, ends[-2 - i])
            features.append(h)
        return features


def _list(modules: nn.Module) -> list[nn.Module]:
    return list(modules.children())
