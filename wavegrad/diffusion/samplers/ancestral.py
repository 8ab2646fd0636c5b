"""The ancestral sampler: WaveGrad's Algorithm 2."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Predict, Walk
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError, WavegradError, unknown
from wavegrad.shapes import Waveform

Variance = Literal["posterior", "beta", "analytic", "learned"]


@dataclass(frozen=True, kw_only=True)
class Ancestral(Sampler):
    """Refine noise by the learned posterior q(y_{n-1} | y_n) (WaveGrad, Algorithm 2; DDPM, Ho et al. 2020)."""

    variance: Variance = "posterior"
    """sigma_n^2 of the noise that goes into y_{n-1}:

    "posterior": (1 - alpha_bar_{n-1}) / (1 - alpha_bar_n) beta_n, the paper's; right for data that is a single point.
    "beta": beta_n, the larger choice of DDPM (sec. 3.2); right for data of unit variance.
    "analytic": between them, from the network's own residual (`analytic_variance`).
    "learned": sigma_n^2 = exp(v log beta_n + (1 - v) log beta~_n) with the v of a network that was trained to predict
    it (Improved DDPM, Nichol and Dhariwal 2021, eq. 15), one for each sample.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.variance)

    @property
    def order(self) -> int:
        """1, of the marginals."""
        return 1

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """y_{n-1} = (y - beta_n / sqrt(1 - alpha_bar_n) epsilon_theta) / sqrt(alpha_n) + sigma_n z, z = 0 at n = 1."""
        predicted, v = walk.predict_at(y, walk.alpha_bars[n], n)
        alpha = 1 - walk.beta(n)
        mean: Waveform = (y - (1 - alpha) / walk.spread(n) * predicted) / alpha**0.5
        return mean + self._sigma(walk, n, predicted, v) * walk.noise(n - 1) if n > 1 else mean

    def _sigma(self, walk: Walk, n: int, predicted: Waveform, v: Waveform | None) -> float | Tensor:
        match self.variance:
            case "posterior":
                return walk.beta_tilde(n) ** 0.5
            case "beta":
                return walk.beta(n) ** 0.5
            case "analytic":
                return analytic_variance(walk, n, predicted).sqrt()
        if v is None:
            raise WavegradError("variance 'learned' is for a network that predicts it; this one predicts noise alone")
        return (0.5 * (v * math.log(walk.beta(n)) + (1 - v) * math.log(walk.beta_tilde(n)))).exp()


def analytic_variance(walk: Walk, n: int, predicted: Waveform) -> Float[Tensor, "batch 1"]:
    """beta~_n + beta_n^2 / (alpha_n (1 - alpha_bar_n)) (1 - Gamma_n), the optimal sigma_n^2 (Analytic-DPM, Bao et al.
    2022, theorem 1, with their lambda_n^2 = beta~_n), one for each item.

    Gamma_n = (1 - alpha_bar_n) E|score|^2 / d = E|epsilon_theta|^2 / d is the share of the noise that the network sees.
    Differs from the paper: it is the mean square of the prediction at hand, not of a table made beforehand on clips. So
    it is the one of this clip, and needs no file that belongs to a model. The price: over d samples it has a relative
    error of about sqrt(2 / d), which a large step magnifies; and sigma_n depends on the whole item, so that a waveform
    made in pieces differs from one made at once. Above 1, which no exact prediction has, it counts as 1 (theorem 2).
    """
    beta = walk.beta(n)
    seen = predicted.square().mean(dim=1, keepdim=True).clamp(max=1)
    return walk.beta_tilde(n) + beta**2 / ((1 - beta) * (1 - walk.alpha_bars[n])) * (1 - seen)


def ancestral_sample(
    predict_noise: Predict,
    schedule: NoiseSchedule,
    n_samples: int,
    seeds: Sequence[int],
    *,
    variance: Variance = "posterior",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[int, Waveform], None] | None = None,
) -> Waveform:
    """`Ancestral` as a function; arguments, result and errors are those of a call of it."""
    _check(variance)
    sampler = Ancestral(variance=variance)
    return sampler(predict_noise, schedule, n_samples, seeds, device=device, dtype=dtype, on_step=on_step)


def _check(variance: str) -> None:
    if variance not in get_args(Variance):
        raise ConfigError(unknown("variance", variance, get_args(Variance)))
