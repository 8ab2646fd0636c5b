"""One-step samplers as what they are at each sample: a sum of state, prediction and noise."""

import math
from dataclasses import dataclass

from wavegrad.diffusion.samplers.ancestral import Ancestral, Variance
from wavegrad.diffusion.samplers.ddim import DDIM
from wavegrad.diffusion.samplers.dpm_solver import DPMSolver
from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError, unknown


@dataclass(frozen=True)
class LinearStep:
    """y_{n-1} = of_state y_n + of_prediction epsilon_theta(y_n, noise_level) + of_previous x + of_noise z, sample by
    sample.

    Samplers of one network call a step have this form (ancestral, DDIM, DPM-Solver++ 1S and 2M), so they can be
    streamed, and written down for other runtimes. x is the y_0 that the step before predicted, z the noise of step n -
    1, as in `ancestral_sample`.
    """

    n: int
    """The step, N ... 1."""
    noise_level: float
    """sqrt(alpha_bar_n), what the network is told."""
    of_state: float
    of_prediction: float
    of_noise: float = 0.0
    of_previous: float = 0.0


def is_linear(sampler: Sampler) -> bool:
    """Whether the sampler's steps are `LinearStep`s, so that it can be streamed and exported."""
    kind = (
        isinstance(sampler, DDIM)
        or (isinstance(sampler, Ancestral) and sampler.variance in ("posterior", "beta"))
        or (isinstance(sampler, DPMSolver) and sampler.variant in ("1S", "2M"))
    )
    return kind and sampler.data_std == 1


def linear_steps(sampler: Sampler, schedule: NoiseSchedule) -> list[LinearStep]:
    """The steps of a sampler, from N down to 1.

    Raises:
        ConfigError: a sampler that is not `is_linear`.
    """
    if is_linear(sampler) and isinstance(sampler, DDIM):
        return ddim_steps(schedule, sampler.eta)
    if is_linear(sampler) and isinstance(sampler, Ancestral):
        return ancestral_steps(schedule, sampler.variance)
    if is_linear(sampler) and isinstance(sampler, DPMSolver):
        return dpm_solver_steps(schedule) if sampler.variant == "2M" else ddim_steps(schedule)
    raise ConfigError(
        f"{sampler} cannot be streamed or exported: it calls the network twice a step, looks at the whole utterance or "
        "starts from other noise; take ancestral (variance posterior or beta), ddim, dpm++1s or dpm++2m"
    )


def ancestral_steps(schedule: NoiseSchedule, variance: Variance = "posterior") -> list[LinearStep]:
    """The steps of WaveGrad's Algorithm 2, from N down to 1.

    Args:
        variance: sigma_n^2, as in `ancestral_sample`.

    Raises:
        ConfigError: an unknown variance.
    """
    if variance not in ("posterior", "beta"):
        raise ConfigError(unknown("variance of a stream", variance, ("posterior", "beta")))
    betas, alphas, alpha_bars = (x.tolist() for x in (schedule.betas_tensor, schedule.alphas, schedule.alpha_bars))
    steps = []
    for n in range(schedule.n_steps, 0, -1):
        beta, alpha, alpha_bar = betas[n - 1], alphas[n - 1], alpha_bars[n - 1]
        inner = alpha_bars[n - 2] if n > 1 else 1.0
        sigma_squared = beta if variance == "beta" else (1 - inner) / (1 - alpha_bar) * beta
        steps.append(
            LinearStep(
                n,
                noise_level=alpha_bar**0.5,
                of_state=alpha**-0.5,
                of_prediction=-(1 - alpha) / ((1 - alpha_bar) * alpha) ** 0.5,
                of_noise=sigma_squared**0.5 if n > 1 else 0.0,
            )
        )
    return steps


def ddim_steps(schedule: NoiseSchedule, eta: float = 0.0) -> list[LinearStep]:
    """The steps of DDIM (Song, Meng and Ermon 2021, eq. 12 and 16), from N down to 1.

    Args:
        eta: 0 is deterministic, 1 the ancestral sampler with the posterior variance.

    Raises:
        ConfigError: eta outside [0, 1].
    """
    if not 0 <= eta <= 1:
        raise ConfigError(f"eta is {eta}; it must lie between 0 and 1")
    alpha_bars = [1.0, *schedule.alpha_bars.tolist()]
    steps = []
    for n in range(schedule.n_steps, 0, -1):
        outer, inner = alpha_bars[n], alpha_bars[n - 1]
        sigma_squared = eta**2 * (1 - inner) / (1 - outer) * (1 - outer / inner)
        shrink = (inner / outer) ** 0.5
        direction = max(1 - inner - sigma_squared, 0.0) ** 0.5
        of_prediction = direction - shrink * (1 - outer) ** 0.5
        steps.append(LinearStep(n, outer**0.5, shrink, of_prediction, sigma_squared**0.5))
    return steps


def dpm_solver_steps(schedule: NoiseSchedule) -> list[LinearStep]:
    """The steps of DPM-Solver++ 2M (Lu et al. 2022, Algorithm 2), from N down to 1.

    From level s to level t, y_t = shrink y_s + gain D, where D = (1 + c) x_s - c x_r is extrapolated from this step's
    prediction x_s = (y_s - spread_s epsilon) / signal_s of y_0 and x_r, that of the step before; c = 0 at both ends.
    """
    alpha_bars = [1.0, *schedule.alpha_bars.tolist()]
    steps = []
    for n in range(schedule.n_steps, 0, -1):
        outer, inner = alpha_bars[n], alpha_bars[n - 1]
        shrink = ((1 - inner) / (1 - outer)) ** 0.5
        gain = inner**0.5 - outer**0.5 * shrink
        c = 0.0
        if 1 < n < schedule.n_steps:
            before, now, after = (0.5 * math.log(a / (1 - a)) for a in (alpha_bars[n + 1], outer, inner))
            c = (after - now) / (2 * (now - before))
        of_clean = gain * (1 + c)
        steps.append(
            LinearStep(
                n,
                noise_level=outer**0.5,
                of_state=shrink + of_clean / outer**0.5,
                of_prediction=-of_clean * ((1 - outer) / outer) ** 0.5,
                of_previous=-gain * c,
            )
        )
    return steps
