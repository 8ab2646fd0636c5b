"""The training objective."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

from wavegrad.shapes import Mask, Waveform


def noise_loss(
    noise: Waveform, predicted: Waveform, mask: Mask | None = None, norm: Literal["l1", "l2"] = "l1"
) -> Float[Tensor, ""]:
    """Mean of |epsilon - epsilon_theta| (WaveGrad, Algorithm 1) over the samples that count.

    Args:
        noise: epsilon.
        predicted: epsilon_theta.
        mask: True where a sample counts; left out, all do.
        norm: "l1" is WaveGrad's; "l2" is L_simple of DDPM (Ho et al. 2020, eq. 14).
    """
    error = (noise - predicted).abs() if norm == "l1" else (noise - predicted).square()
    return error.mean() if mask is None else (error * mask).sum() / mask.sum().clamp(min=1)
