"""The training objective."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import ConfigError, unknown
from wavegrad.shapes import Mask, Waveform

Norm = Literal["l1", "l2"]


def noise_loss(noise: Waveform, predicted: Waveform, mask: Mask | None = None, norm: Norm = "l1") -> Float[Tensor, ""]:
    """Mean of |epsilon - epsilon_theta| (WaveGrad, Algorithm 1) over the samples that count.

    Args:
        noise: epsilon.
        predicted: epsilon_theta.
        mask: True where a sample counts; left out, all do.
        norm: "l1" is WaveGrad's; "l2" is L_simple of DDPM (Ho et al. 2020, eq. 14).

    Returns:
        A scalar; 0 where no sample counts.

    Raises:
        ConfigError: an unknown norm.
    """
    if norm not in get_args(Norm):
        raise ConfigError(unknown("norm", norm, get_args(Norm)))
    error = (noise - predicted).abs() if norm == "l1" else (noise - predicted).square()
    return error.mean() if mask is None else (error * mask).sum() / mask.sum().clamp(min=1)
