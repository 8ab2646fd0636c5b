"""How likely a waveform is under a model: the variational bound, and the density of the probability flow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float64
from torch import Tensor

from wavegrad.diffusion.counter_noise import seeded_noise
from wavegrad.diffusion.process import diffuse
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.diffusion.variational import BIT, bound_term
from wavegrad.errors import ConfigError, unknown
from wavegrad.shapes import PredictNoise, PredictNoiseAndVariance, Waveform

BoundVariance = Literal["posterior", "beta", "learned"]
Bits = Float64[Tensor, " batch"]


@dataclass(frozen=True)
class VariationalBound:
    """An upper bound of -log2 p(y_0), by its terms; bits per sample of each item."""

    terms: Float64[Tensor, "batch n_steps"]
    """Step n at index n - 1: the decoder -log p(y_0 | y_1) first, then KL(q(y_{n-1} | y_n, y_0) || p(y_{n-1} | y_n)),
    each with one draw of the noise."""
    prior: Bits
    """KL(q(y_N | y_0) || N(0, 1))."""

    @property
    def total(self) -> Bits:
        """The bound."""
        return self.terms.sum(1) + self.prior


def variational_bound(
    predict_noise: PredictNoise | PredictNoiseAndVariance,
    schedule: NoiseSchedule,
    y_0: Waveform,
    seeds: Sequence[int],
    variance: BoundVariance = "posterior",
) -> VariationalBound:
    """E_q[-log p(y_{0..N}) / q(y_{1..N} | y_0)] (Ho et al. 2020, eq. 5), one draw of the noise for each term.

    It holds for the ancestral sampler with this schedule and this variance; another schedule is another model, with
    another bound. The decoder is that of `bound_term`.

    Args:
        predict_noise: epsilon_theta with its condition bound; with variance "learned", one that returns (noise, v).
        schedule: N steps; one network call for each.
        y_0: `batch time`.
        seeds: of the noise, one for each item; term n has the `seeded_noise` of step n.
        variance: sigma_n^2 of the sampler.

    Raises:
        ConfigError: an unknown variance.
    """
    if variance not in get_args(BoundVariance):
        raise ConfigError(unknown("variance", variance, get_args(BoundVariance)))
    draw = seeded_noise(seeds, y_0.device, y_0.dtype)
    levels = schedule.noise_levels.to(y_0.device)
    terms = []
    for n in range(1, schedule.n_steps + 1):
        noise, outer = draw(n, y_0.shape[1]), levels[n].expand(len(y_0))
        level = outer.to(y_0.dtype)
        output = predict_noise(diffuse(y_0, level, noise), level)
        predicted, v = output if isinstance(output, tuple) else (output, torch.full_like(y_0, variance == "beta"))
        terms.append(bound_term(noise, predicted, v, outer, levels[n - 1].expand(len(y_0))).double().mean(1))
    return VariationalBound(torch.stack(terms, 1), _prior_term(y_0, schedule))


def _prior_term(y_0: Waveform, schedule: NoiseSchedule) -> Bits:
    """KL(N(sqrt(alpha_bar_N) y_0, 1 - alpha_bar_N) || N(0, 1)), bits per sample."""
    alpha_bar = schedule.alpha_bars[-1].item()
    power = y_0.double().square().mean(1)
    return (alpha_bar * power - alpha_bar - math.log(1 - alpha_bar)) / (2 * BIT)


def flow_bits(
    predict_noise: PredictNoise,
    schedule: NoiseSchedule,
    y_0: Waveform,
    seeds: Sequence[int],
    n_probes: int = 1,
) -> Bits:
    """-log2 p(y_0) per sample by the probability-flow ODE (Song et al. 2021, eq. 39; Grathwohl et al. 2019).

    With z = y / sqrt(alpha_bar) and sigma = sqrt(1 - alpha_bar) / sqrt(alpha_bar) the flow is dz / dsigma =
    epsilon_theta, and log p(z) falls along it by its divergence. Heun's method takes it through the levels of the
    schedule, two network calls and their derivatives a step, so that the error falls with the square of the step; the
    divergence is Hutchinson's estimate v . (J v) with random signs v, the same on the whole way. y_N is taken for
    N(0, 1).

    The flow starts at level l_1, not at 1, where no network is trained: it is the density of clips with the noise of
    level l_1 on them, at y_0 (Song et al. 2021, appendix C, start at a small time for the same reason).

    Args:
        predict_noise: epsilon_theta with its condition bound, differentiable in y.
        schedule: where to stop on the way; two levels at least.
        y_0: `batch time`.
        seeds: of the random signs, one for each item.
        n_probes: vectors v that the divergence is averaged over.

    Raises:
        ConfigError: a schedule of one level, or no probe.
    """
    if schedule.n_steps < 2 or n_probes < 1:
        raise ConfigError(
            f"a flow along {schedule.n_steps} levels with {n_probes} probes; two levels and one probe are needed"
        )
    draw = seeded_noise(seeds, y_0.device, y_0.dtype)
    probes = [draw(i, y_0.shape[1]).sign() for i in range(n_probes)]
    levels = schedule.noise_levels[1:].tolist()
    sigmas = [math.sqrt(1 - level**2) / level for level in levels]
    z, divergence = y_0, torch.zeros(len(y_0), dtype=torch.float64, device=y_0.device)
    for i, width in enumerate(sigmas[n + 1] - sigmas[n] for n in range(len(sigmas) - 1)):
        slope, growth = _slope(predict_noise, z, levels[i], probes)
        ahead, growth_ahead = _slope(predict_noise, z + width * slope, levels[i + 1], probes)
        z = z + width / 2 * (slope + ahead)
        divergence = divergence + width / 2 * (growth + growth_ahead)
    y_n = levels[-1] * z.double()
    log_prior = -0.5 * (y_n.square() + math.log(2 * math.pi)).mean(1) + math.log(levels[-1])
    return -(log_prior + divergence) / BIT


def _slope(predict_noise: PredictNoise, z: Waveform, level: float, probes: Sequence[Waveform]) -> tuple[Waveform, Bits]:
    """epsilon_theta at z, and the mean over samples of the diagonal of its Jacobian in z."""
    with torch.enable_grad():
        y = (level * z).detach().requires_grad_()
        levels = torch.full((len(y),), level, dtype=y.dtype, device=y.device)
        slope = predict_noise(y, levels)
        growth = torch.zeros(len(y), dtype=torch.float64, device=y.device)
        for i, probe in enumerate(probes):
            (product,) = torch.autograd.grad(slope, y, probe, retain_graph=i + 1 < len(probes))
            growth += level * (product * probe).double().mean(1)
    return slope.detach(), growth / len(probes)
