"""The training schedules of the literature, by kind."""

import math
from typing import Literal, get_args

import torch

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError, unknown

ScheduleKind = Literal["linear", "quadratic", "cosine", "sigmoid"]


def training_schedule(kind: ScheduleKind, n_steps: int, beta_1: float, beta_n: float) -> NoiseSchedule:
    """The training schedule of that kind.

    Args:
        kind: "linear", betas evenly spaced (Ho et al. 2020; WaveGrad); "quadratic", their square roots evenly spaced;
            "cosine" (Nichol and Dhariwal 2021, eq. 17); "sigmoid" (Chen 2023).
        n_steps: S.
        beta_1: first beta, of "linear" and "quadratic".
        beta_n: last beta, of "linear" and "quadratic".

    Raises:
        ConfigError: an unknown kind, or numbers that make no schedule.
    """
    if kind not in get_args(ScheduleKind):
        raise ConfigError(unknown("kind of schedule", kind, get_args(ScheduleKind)))
    if kind == "linear":
        return NoiseSchedule.linear(beta_1, beta_n, n_steps)
    if kind == "quadratic":
        return quadratic(beta_1, beta_n, n_steps)
    return NoiseSchedule.cosine(n_steps) if kind == "cosine" else sigmoid(n_steps)


def quadratic(beta_1: float, beta_n: float, n_steps: int) -> NoiseSchedule:
    """sqrt(beta) evenly spaced from sqrt(beta_1) to sqrt(beta_n) (the "scaled linear" one of Rombach et al. 2022)."""
    if not (0 < beta_1 < 1 and 0 < beta_n < 1 and n_steps >= 1):
        raise ConfigError(
            f"quadratic({beta_1}, {beta_n}, {n_steps}): betas must lie inside (0, 1), n_steps be 1 or more"
        )
    betas = torch.linspace(math.sqrt(beta_1), math.sqrt(beta_n), n_steps, dtype=torch.float64).square()
    return NoiseSchedule(tuple(betas.tolist()), f"quadratic({beta_1:g}, {beta_n:g}, {n_steps})")


def sigmoid(n_steps: int, start: float = -3.0, end: float = 3.0, largest_beta: float = 0.999) -> NoiseSchedule:
    """alpha_bar falls along a logistic curve from `start` to `end`, made to run from 1 to 0 (Chen 2023, arXiv
    2301.10972, algorithm 1, temperature 1).

    Args:
        n_steps: N.
        start, end: the stretch of the logistic curve that is used.
        largest_beta: betas are cut there, as in `NoiseSchedule.cosine`: the last one would be 1.
    """
    if n_steps < 1 or not start < end:
        raise ConfigError(f"sigmoid({n_steps}, {start}, {end}): n_steps must be 1 or more, and start below end")
    curve = torch.sigmoid(torch.linspace(start, end, n_steps + 1, dtype=torch.float64))
    alpha_bars = (curve[-1] - curve) / (curve[-1] - curve[0])
    betas = (1 - alpha_bars[1:] / alpha_bars[:-1]).clamp(max=largest_beta)
    return NoiseSchedule(tuple(betas.tolist()), f"sigmoid({n_steps}, {start:g}, {end:g})")
