"""DBlock: takes the noisy waveform down towards the frame rate."""

from typing import Literal

import torch.nn.functional as F
from torch import nn

from wavegrad.network.conv import Conv, downsample, orthogonal_
from wavegrad.shapes import Feature, FeatureOut

Downsampling = Literal["strided", "nearest", "linear"]


class DBlock(nn.Module):
    """Three dilated convolutions beside a 1x1 residual branch; time shrinks by `factor` (WaveGrad, fig. 2).

    The paper downsamples by strided convolution and leaves the kernel open. Here, "strided", the first convolution of
    the main branch carries the stride and has no dilation; its kernel is factor + 2: every output sees its own `factor`
    inputs and one neighbour on each side (at factor 1 that is the plain kernel of 3). The residual branch averages the
    same `factor` inputs. "nearest" and "linear" are the public re-implementations: both branches interpolate instead,
    which aliases, and the first convolution is dilated like the others.
    """

    def __init__(
        self, n_in: int, n_out: int, factor: int, dilations: tuple[int, ...], mode: Downsampling, slope: float
    ):
        super().__init__()
        self.factor = factor
        self.mode = mode
        self.slope = slope
        self.residual = Conv(n_in, n_out, 1)
        first = (
            Conv(n_in, n_out, factor + 2, stride=factor, padding=1)
            if mode == "strided"
            else Conv(n_in, n_out, 3, dilations[0])
        )
        self.convs = nn.ModuleList([first, *(Conv(n_out, n_out, 3, d) for d in dilations[1:])])
        orthogonal_(self)

    def forward(self, x: Feature) -> FeatureOut:
        if self.mode == "strided":
            residual = self.residual(mean_of(x, self.factor))
        else:
            residual = downsample(self.residual(x), self.factor, self.mode)
            x = downsample(x, self.factor, self.mode)
        *convs, last = self.convs
        x = F.leaky_relu(x, self.slope)
        for conv in convs:
            x = conv(x, self.slope)
        return last(x) + residual


def mean_of(x: Feature, factor: int) -> FeatureOut:
    """Means of `factor` neighbours: `batch channels time` -> `batch channels time/factor`."""
    return x if factor == 1 else F.avg_pool2d(x.unsqueeze(2), (1, factor)).squeeze(2)
