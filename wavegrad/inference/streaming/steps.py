"""One-step samplers as what they are at each sample: a sum of state, prediction and noise."""

from dataclasses import dataclass

from wavegrad.diffusion import DDIM, Ancestral, NoiseSchedule, Sampler, Variance
from wavegrad.errors import ConfigError, unknown


@dataclass(frozen=True)
class LinearStep:
    """y_{n-1} = of_state y_n + of_prediction epsilon_theta(y_n, noise_level) + of_noise z, sample by sample.

    Any sampler of one network call a step has this form (ancestral, DDIM), and can be streamed. z is the noise of step
    n - 1, as in `ancestral_sample`.
    """

    n: int
    """The step, N ... 1."""
    noise_level: float
    """sqrt(alpha_bar_n), what the network is told."""
    of_state: float
    of_prediction: float
    of_noise: float = 0.0


def is_linear(sampler: Sampler) -> bool:
    """Whether the sampler's steps are `LinearStep`s, so that it can be streamed."""
    kind = isinstance(sampler, DDIM) or (isinstance(sampler, Ancestral) and sampler.variance in ("posterior", "beta"))
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
    raise ConfigError(
        f"{sampler} cannot be streamed: a step of it looks at more than one sample and one prediction; "
        "stream with ancestral (posterior, beta) or ddim"
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
