"""The sinusoidal embedding of the noise level, continuous or as an index."""

import math

import torch
from jaxtyping import Float, Float64
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
        step_levels: sqrt(alpha_bar_n), falling; with them the sinusoids are those of the index n instead (DDPM, Ho et
            al. 2020, appendix B), n being the step whose level is nearest. Which levels are near enough is the
            caller's to say.
    """

    borders: Float64[Tensor, " n_borders"] | None

    def __init__(self, channels: int, scale: float = 5000.0, step_levels: tuple[float, ...] | None = None):
        super().__init__()
        self.channels = channels
        self.scale = scale
        levels = torch.tensor(step_levels or (), dtype=torch.float64)
        borders = None if step_levels is None else (levels[1:] + levels[:-1]) / 2
        self.register_buffer("borders", borders, persistent=False)

    def forward(self, noise_level: NoiseLevel) -> Float[Tensor, "batch channels"]:
        half = self.channels // 2
        level = noise_level if noise_level.dtype == torch.float64 else noise_level.float()
        exponents = torch.arange(half, dtype=level.dtype, device=level.device) / half
        with torch.autocast(level.device.type, enabled=False):
            angles = self._position(level)[:, None] * torch.exp(-math.log(1e4) * exponents)
            return torch.cat((angles.sin(), angles.cos()), dim=1)

    def _position(self, level: NoiseLevel) -> NoiseLevel:
        """What the sinusoids are of: C * level, or the index."""
        if self.borders is None:
            return self.scale * level
        return 1 + (level.double()[:, None] < self.borders).sum(1).to(level.dtype)
