"""UBlock and DBlock with prepared weights."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.inference.ends import Ends
from wavegrad.inference.film import Film, Modulate, modulated
from wavegrad.inference.layers import activated, bias_of, convolution_of, linear_of
from wavegrad.inference.rows import Fusion, Pointwise, Rows, RowsConvolution, RowsOut
from wavegrad.inference.upsampled_conv import UpsampledConvolution
from wavegrad.network.conv import Conv, Resampling, downsample, upsample
from wavegrad.network.dblock import DBlock, Downsampling, mean_of
from wavegrad.network.ublock import UBlock


@dataclass(frozen=True)
class Started:
    """What a UBlock makes of its input before the first FiLM."""

    h: Float[Tensor, "batch time_out channels"]
    """Output of the first convolution."""
    residual: Float[Tensor, "batch time channels"]
    """Of the residual branch, at the low rate."""


@dataclass(frozen=True)
class PreparedUBlock:
    """A UBlock whose first convolution and residual branch are computed before the upsampling.

    Both depend on the input alone, not on FiLM: `start` is what the first UBlock does once for each utterance.
    """

    residual: Pointwise
    first: UpsampledConvolution | RowsConvolution
    convs: tuple[RowsConvolution, RowsConvolution, RowsConvolution]
    factor: int
    mode: Resampling
    slope: float
    modulate: Modulate = modulated

    @classmethod
    def prepare(
        cls, block: UBlock, dtype: torch.dtype, modulate: Modulate = modulated, fusion: Fusion | None = None
    ) -> "PreparedUBlock":
        """From a block of the network; `fusion` as in `convolution_of`."""
        first, *others = _convs(block.convs)
        conv_2, conv_3, conv_4 = (convolution_of(conv, dtype, fusion) for conv in others)
        return cls(
            _pointwise(block.residual, dtype, fusion),
            UpsampledConvolution.prepare(first, block.factor, block.mode, dtype, fusion)
            if block.factor > 1
            else convolution_of(first, dtype, fusion),
            (conv_2, conv_3, conv_4),
            block.factor,
            block.mode,
            block.slope,
            modulate,
        )

    def start(self, x: Rows, ends: Ends, ends_out: Ends) -> Started:
        """What needs no FiLM; `x` is zero beyond the ends."""
        a = activated(x, self.slope)
        h = self.first(a, ends, ends_out) if isinstance(self.first, UpsampledConvolution) else self.first(a)
        return Started(h, ends.hold_(self.residual(x)))

    def finish(self, started: Started, film: Film, ends: Ends) -> RowsOut:
        """The rest, from what `start` gave; the result is zero beyond the ends."""
        conv_2, conv_3, conv_4 = self.convs
        modulated_h = self.modulate(started.h, film, self.slope, ends)
        if self.mode == "nearest":
            h = conv_2.with_repeated(modulated_h, started.residual)
        else:
            h = conv_2(modulated_h)
            h.add_(upsample(started.residual.transpose(1, 2), self.factor, self.mode).transpose(1, 2))
        u = conv_3(self.modulate(h, film, self.slope, ends))
        return conv_4.add_to_(h, self.modulate(u, film, self.slope, ends), ends)


@dataclass(frozen=True)
class PreparedDBlock:
    """A DBlock whose residual convolution comes after the downsampling: the two commute."""

    residual: Pointwise
    convs: tuple[RowsConvolution, ...]
    factor: int
    mode: Downsampling
    slope: float

    @classmethod
    def prepare(cls, block: DBlock, dtype: torch.dtype, fusion: Fusion | None = None) -> "PreparedDBlock":
        """From a block of the network; `fusion` as in `convolution_of`."""
        convs = tuple(convolution_of(conv, dtype, fusion) for conv in _convs(block.convs))
        return cls(_pointwise(block.residual, dtype, fusion), convs, block.factor, block.mode, block.slope)

    def __call__(self, x: Rows, ends_out: Ends) -> RowsOut:
        """`batch time n_in` -> `batch time/factor n_out`; zero beyond the ends if `x` is."""
        low = self._downsampled(x)
        h = activated(x if self.mode == "strided" else low, self.slope)
        for conv in self.convs[:-1]:
            h = conv.activated(h, self.slope, ends_out)
        return self.convs[-1].add_to_(self.residual(low), h, ends_out)

    def _downsampled(self, x: Rows) -> RowsOut:
        if self.factor == 1:
            return x
        if self.mode == "strided":
            return mean_of(x.transpose(1, 2), self.factor).transpose(1, 2).contiguous()
        if self.mode == "nearest":
            return x.unflatten(1, (-1, self.factor))[:, :, 0].contiguous()
        return downsample(x.transpose(1, 2), self.factor, self.mode).transpose(1, 2).contiguous()


def _pointwise(conv: Conv, dtype: torch.dtype, fusion: Fusion | None) -> Pointwise:
    return linear_of(conv.weight.detach()[:, :, 0], bias_of(conv), dtype, fusion)


def _convs(modules: nn.ModuleList) -> list[Conv]:
    return [module for module in modules if isinstance(module, Conv)]
