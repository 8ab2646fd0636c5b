"""The variational bound of a schedule, as a sum over its jumps."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError, unknown

Reverse = Literal["optimal", "posterior"]
"""Variance of the steps back: "posterior" is WaveGrad's; "optimal" the best Gaussian one (Analytic-DPM)."""


def snr(level: float) -> float:
    """alpha_bar / (1 - alpha_bar)."""
    return level**2 / (1 - level**2)


def jump_bound(clean: float, noisy: float, loss: float, reverse: Reverse = "posterior") -> float:
    """E KL(q(y_s | y_t, y_0) || p(y_s | y_t)), nats a sample, for a jump from level t to the cleaner s (Watson et al.
    2021, eq. 6; Kingma et al. 2021, eq. 13).

    With x = (SNR_s / SNR_t - 1) E|epsilon - epsilon_theta|^2: x / 2 where p has the posterior's variance, and
    log(1 + x) / 2 where it has the one that minimises the divergence (Bao et al. 2022, theorem 1).

    Args:
        clean: sqrt(alpha_bar_s).
        noisy: sqrt(alpha_bar_t), below `clean`.
        loss: mean square error of the predicted noise at level t.
        reverse: the variance of p.
    """
    if reverse not in get_args(Reverse):
        raise ConfigError(unknown("reverse variance", reverse, get_args(Reverse)))
    x = (snr(clean) / snr(noisy) - 1) * loss
    return x / 2 if reverse == "posterior" else math.log1p(x) / 2


def data_bound(level: float, loss: float) -> float:
    """-E log p(y_0 | y_1), nats a sample, for a Gaussian p around the network's y_0 whose variance is the mean square
    of its error (1 / SNR_1) E|epsilon - epsilon_theta|^2.

    Differs from Watson et al.: theirs is for 8-bit pixels.
    """
    return 0.5 * math.log(2 * math.pi * math.e * loss / snr(level))


def start_bound(level: float, power: float) -> float:
    """KL(q(y_N | y_0) || N(0, 1)), nats a sample (DDPM, Ho et al. 2020, eq. 5); `power` is the mean of y_0^2."""
    alpha_bar = level**2
    return 0.5 * (alpha_bar * (power - 1) - math.log1p(-alpha_bar))


def schedule_bound(
    schedule: NoiseSchedule, losses: Mapping[float, float], power: float, reverse: Reverse = "posterior"
) -> float:
    """The whole bound of a schedule, nats a sample; `losses` by noise level."""
    levels: Sequence[float] = schedule.noise_levels.tolist()[1:]
    jumps = sum(jump_bound(s, t, losses[t], reverse) for s, t in itertools.pairwise(levels))
    return data_bound(levels[0], losses[levels[0]]) + jumps + start_bound(levels[-1], power)
