"""UBlock: takes the mel spectrogram up towards the sample rate."""

import torch.nn.functional as F
from torch import nn

from wavegrad.network.conv import Conv, Resampling, orthogonal_, upsample
from wavegrad.network.film import Film, FilmOut, modulate
from wavegrad.shapes import Feature, FeatureOut


class UBlock(nn.Module):
    """Two residual blocks with four convolutions; time grows by `factor` (WaveGrad, fig. 2).

    FiLM comes in front of convolutions 2, 3 and 4, each followed by LeakyReLU. Differs from the paper in form only: the
    residual 1x1 convolution stands before the upsampling, not after it; the two commute, and this order costs `factor`
    times less.
    """

    def __init__(
        self, n_in: int, n_out: int, factor: int, dilations: tuple[int, int, int, int], mode: Resampling, slope: float
    ):
        super().__init__()
        self.factor = factor
        self.mode = mode
        self.slope = slope
        self.residual = Conv(n_in, n_out, 1)
        self.convs = nn.ModuleList(
            [Conv(n_in, n_out, 3, dilations[0]), *(Conv(n_out, n_out, 3, d) for d in dilations[1:])]
        )
        orthogonal_(self)

    def forward(self, x: Feature, film: FilmOut) -> FeatureOut:
        conv_1, conv_2, conv_3, conv_4 = self.convs
        residual = upsample(self.residual(x), self.factor, self.mode)
        h = conv_1(upsample(F.leaky_relu(x, self.slope), self.factor, self.mode))
        h = conv_2(self.modulated(h, film)) + residual
        u = conv_3(self.modulated(h, film))
        return h + conv_4(self.modulated(u, film))

    def modulated(self, x: Feature, film: Film) -> Feature:
        """FiLM and the LeakyReLU behind it."""
        return F.leaky_relu(modulate(x, film), self.slope)
