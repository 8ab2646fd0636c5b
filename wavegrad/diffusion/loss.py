"""The training objective."""

from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import ConfigError, unknown
from wavegrad.shapes import Mask, Waveform

Norm = Literal["l1", "l2"]
Weights = Float[Tensor, " batch"]


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
    return masked_mean(noise_error(noise, predicted, norm), mask)


def noise_error(noise: Waveform, predicted: Waveform, norm: Norm = "l1") -> Waveform:
    """What `noise_loss` is the mean of."""
    if norm not in get_args(Norm):
        raise ConfigError(unknown("norm", norm, get_args(Norm)))
    return (noise - predicted).abs() if norm == "l1" else (noise - predicted).square()


def masked_mean(error: Waveform, mask: Mask | None = None, weights: Weights | None = None) -> Float[Tensor, ""]:
    """Mean over the samples that count, each one times the weight of its item; 0 where none counts."""
    if weights is not None:
        error = error * weights[:, None]
    return error.mean() if mask is None else (error * mask).sum() / mask.sum().clamp(min=1)


def item_means(error: Waveform, mask: Mask) -> Float[Tensor, " batch"]:
    """`masked_mean` of each item alone."""
    return (error * mask).sum(1) / mask.sum(1).clamp(min=1)
