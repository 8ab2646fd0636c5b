"""FiLM with the noise level folded into a bias."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.ends import Ends
from wavegrad.inference.layers import activate_, convolution_of, float_of
from wavegrad.inference.rows import Fusion, Rows, RowsConvolution
from wavegrad.network.film import FiLM
from wavegrad.network.noise_embedding import NoiseEmbedding

OneLevel = Float[Tensor, "1"]
"""sqrt(alpha_bar) of a whole batch."""
Film = Float[Tensor, "batch time scale_and_shift"]
"""gamma and xi of every position, in this order along the channels."""


@dataclass(frozen=True)
class LevelBias:
    """What one noise level adds to the output of a FiLM."""

    inside: Float[Tensor, " channels"]
    """Bias of the output convolution: its own, and all taps times the embedding."""
    first: Float[Tensor, " channels"]
    """What is too much at the first position, where the left tap finds no embedding."""
    last: Float[Tensor, " channels"]
    """What is too much at the last one."""


@dataclass(frozen=True)
class PreparedFiLM:
    """conv(h + PE) = conv(h) + conv(PE), and PE is the same at every position: conv(PE) is a constant but at the
    ends."""

    input: RowsConvolution
    output: RowsConvolution
    taps: Float[Tensor, "kernel n_out n_hidden"]
    """Weights of the output convolution in the precision of the model: the embedding is never rounded to less."""
    bias: Float[Tensor, " n_out"]
    embedding: NoiseEmbedding
    slope: float
    dtype: torch.dtype
    """Of scale and shift."""

    @classmethod
    def prepare(cls, film: FiLM, dtype: torch.dtype, fusion: Fusion | None = None) -> "PreparedFiLM":
        """From a layer of the network; `fusion` as in `convolution_of`."""
        output = film.output
        assert output.bias is not None
        taps = output.weight.detach().permute(2, 0, 1).clone(memory_format=torch.contiguous_format)
        return cls(
            convolution_of(film.input, dtype, fusion),
            convolution_of(output, dtype, fusion),
            taps,
            output.bias.detach().clone(),
            film.embedding,
            film.slope,
            float_of(dtype),
        )

    def at(self, noise_level: OneLevel) -> LevelBias:
        """The constant for a noise level."""
        left, middle, right = self.taps @ self.embedding(noise_level)[0].to(self.taps.dtype)
        total = self.bias + left + middle + right
        return LevelBias(total.to(self.dtype), left.to(self.dtype), right.to(self.dtype))

    def __call__(self, x: Rows, level: LevelBias, ends: Ends) -> Film:
        """Scale and shift; `x` is zero beyond the ends."""
        out = self.output(self.input.activated(x, self.slope, ends), level.inside)
        out[:, 0] -= level.first
        ends.subtract_at_last_(out, level.last)
        return out


def modulated(x: Rows, film: Film, slope: float, ends: Ends) -> Rows:
    """LeakyReLU(gamma x + xi), ready for a convolution."""
    scale, shift = film.chunk(2, dim=2)
    return activate_(torch.addcmul(shift, scale, x), slope, ends)


Modulate = Callable[[Rows, Film, float, Ends], Rows]
"""`modulated`, or something that does the same."""
