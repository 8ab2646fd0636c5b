"""The ancestral sampler: WaveGrad's Algorithm 2."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import torch

from wavegrad.diffusion.noise import SeededNoise
from wavegrad.diffusion.schedule import NoiseSchedule, warn_of_terminal_level
from wavegrad.errors import ConfigError, WavegradError, unknown
from wavegrad.shapes import PredictNoise, Waveform

Variance = Literal["posterior", "beta"]


def ancestral_sample(
    predict_noise: PredictNoise,
    schedule: NoiseSchedule,
    n_samples: int,
    seeds: Sequence[int],
    *,
    variance: Variance = "posterior",
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_step: Callable[[int, Waveform], None] | None = None,
) -> Waveform:
    """Refine pure noise into y_0 (WaveGrad, Algorithm 2). Nothing is clamped anywhere.

    Args:
        predict_noise: epsilon_theta(y, noise_level) with its condition bound; `batch time`, ` batch` -> `batch time`.
        schedule: N steps; step n uses beta_n and sqrt(alpha_bar_n).
        n_samples: length of the result.
        seeds: one for each item of the batch; an item depends on its own seed only. y_N is `SeededNoise` of step N, and
            the z that goes into y_n that of step n.
        variance: sigma_n^2: "posterior", (1 - alpha_bar_{n-1}) / (1 - alpha_bar_n) beta_n, is the paper's; "beta" is
            beta_n, the larger choice of DDPM (Ho et al. 2020, sec. 3.2).
        device: where the state lives.
        dtype: precision of the state.
        on_step: called after every step with n and y_{n-1}.

    Returns:
        y_0, `batch time`.

    Raises:
        ConfigError: no seeds, or an unknown variance.
        WavegradError: a prediction is not finite, or not of the shape of y; the message names the step.

    Warns:
        ScheduleWarning: sqrt(alpha_bar_N) is so large that pure noise is a wrong start.
    """
    if variance not in get_args(Variance):
        raise ConfigError(unknown("variance", variance, get_args(Variance)))
    warn_of_terminal_level(schedule)
    noise = SeededNoise(seeds, device, dtype)
    betas, alphas, alpha_bars = schedule.betas_tensor, schedule.alphas, schedule.alpha_bars
    y = noise(schedule.n_steps, n_samples)
    for n in range(schedule.n_steps, 0, -1):
        beta, alpha, alpha_bar = (x[n - 1].item() for x in (betas, alphas, alpha_bars))
        level = torch.full((len(y),), alpha_bar**0.5, dtype=dtype, device=device)
        predicted = predict_noise(y, level).to(dtype)
        _check(predicted, y, f"at refinement step {n} of {schedule.n_steps}")
        y = (y - (1 - alpha) / (1 - alpha_bar) ** 0.5 * predicted) / alpha**0.5
        if n > 1:
            inner = alpha_bars[n - 2].item()
            sigma_squared = beta if variance == "beta" else (1 - inner) / (1 - alpha_bar) * beta
            y = y + sigma_squared**0.5 * noise(n - 1, n_samples)
        if on_step is not None:
            on_step(n, y)
    return y


def _check(predicted: torch.Tensor, y: torch.Tensor, where: str) -> None:
    if predicted.shape != y.shape:
        raise WavegradError(f"the prediction has shape {tuple(predicted.shape)}, y has {tuple(y.shape)} {where}")
    if not torch.isfinite(predicted).all():
        items = (~torch.isfinite(predicted)).any(dim=1).nonzero().flatten().tolist()
        raise WavegradError(f"the network's prediction is not finite {where} (items {items} of the batch)")
