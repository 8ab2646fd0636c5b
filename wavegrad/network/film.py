"""Feature-wise linear modulation (FiLM): what the noisy waveform and the noise level tell the upsampling path."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.network.conv import Conv
from wavegrad.network.noise_embedding import NoiseEmbedding
from wavegrad.shapes import Feature, NoiseLevel

Film = Float[Tensor, "batch scale_and_shift time"]
"""gamma and xi of every position, in this order along the channels."""
FilmOut = Float[Tensor, "batch scale_and_shift time_out"]
"""At the rate that a UBlock goes up to."""


class FiLM(nn.Module):
    """conv -> LeakyReLU -> + embedding of the noise level -> conv -> (scale gamma, shift xi) (WaveGrad, fig. 2).

    The paper leaves the initialisation open: Xavier weights, and a bias of one for the scale, so that an untrained FiLM
    passes its features on instead of extinguishing them.

    Args:
        n_in: channels of the downsampled waveform features.
        n_out: channels of the UBlock that is modulated.
        n_hidden: channels between the two convolutions, where the embedding is added.
        level_scale: C of the noise embedding.
        slope: negative slope of the LeakyReLU.
        step_levels: levels of the training schedule, where the network is told their index.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_hidden: int,
        level_scale: float,
        slope: float,
        step_levels: tuple[float, ...] | None = None,
    ):
        super().__init__()
        self.input = Conv(n_in, n_hidden, 3)
        self.slope = slope
        self.embedding = NoiseEmbedding(n_hidden, level_scale, step_levels)
        self.output = Conv(n_hidden, 2 * n_out, 3)
        for conv in (self.input, self.output):
            nn.init.xavier_uniform_(conv.weight)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        assert self.output.bias is not None
        nn.init.ones_(self.output.bias[:n_out])

    def forward(self, x: Feature, noise_level: NoiseLevel) -> Film:
        h = self.input(x, self.slope)
        return self.output(h + self.embedding(noise_level).to(h.dtype)[:, :, None])  # the same for every time position


def modulate(x: Feature, film: Film) -> Feature:
    """gamma * u + xi."""
    scale, shift = film.chunk(2, dim=1)
    return torch.addcmul(shift, scale, x)
