"""The sinusoidal embedding of the continuous noise level."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.shapes import NoiseLevel


class NoiseEmbedding(nn.Module):
    """Transformer sinusoids of C * sqrt(alpha_bar) (WaveGrad, sec. 3.2): first `channels / 2` sines, then the cosines.

    The frequencies fall from 1 to 10^-4. C = 5000 spreads the unit interval over many periods; without it the levels
    0.999 and 0.9999, ten times apart in noise power, look alike to the network. The angles reach 5000, so they
    are computed in float32 at least, whatever the precision of the network.

    Args:
        channels: width of the embedding, even.
        scale: C.
    """

    def __init__(self, channels: int, scale: float = 5000.0):
        super().__init__()
        self.channels = channels
        self.scale = scale

    def forward(self, noise_level: NoiseLevel) -> Float[Tensor, "batch channels"]:
        half = self.channels // 2
        level = noise_level if noise_level.dtype == torch.float64 else noise_level.float()
        exponents = torch.arange(half, dtype=level.dtype, device=level.device) / half
        with torch.autocast(level.device.type, enabled=False):
            angles = self.scale * level[:, None] * torch.exp(-math.log(1e4) * exponents)
            return torch.cat((angles.sin(), angles.cos()), dim=1)
