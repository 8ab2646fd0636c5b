"""Bound and flow on Gaussians, where everything has a closed form (float64 throughout)."""

import math

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule
from wavegrad.diffusion.likelihood import flow_bits, variational_bound
from wavegrad.errors import ConfigError

F64 = torch.float64
LOG2 = math.log(2)


def gaussian(std: float):
    """The optimal predictor for data N(0, std^2): E[eps | y]."""

    def predict_noise(y, level):
        signal = level[:, None] ** 2
        return (1 - signal).sqrt() * y / (signal * std**2 + 1 - signal)

    return predict_noise


def correlated(covariance: torch.Tensor):
    """The optimal predictor for data N(0, covariance)."""

    def predict_noise(y, level):
        signal = level[0] ** 2
        total = signal * covariance + (1 - signal) * torch.eye(len(covariance), dtype=F64)
        return (1 - signal).sqrt() * torch.linalg.solve(total, y.T).T

    return predict_noise


def data(std: float, n_items: int = 40, n_samples: int = 2500) -> torch.Tensor:
    return std * torch.randn(n_items, n_samples, dtype=F64, generator=torch.Generator().manual_seed(7))


def entropy(std: float) -> float:
    return 0.5 * math.log2(2 * math.pi * math.e * std**2)


def expected_terms(schedule: NoiseSchedule, std: float, v: float) -> torch.Tensor:
    """Bits of each term for the optimal predictor, from E[(eps - E[eps | y])^2] = alpha_bar s^2 / (alpha_bar s^2 + 1 -
    alpha_bar)."""
    bars = torch.cat((torch.ones(1, dtype=F64), schedule.alpha_bars))
    error = bars[1:] * std**2 / (bars[1:] * std**2 + 1 - bars[1:])
    beta, outer, inner = schedule.betas_tensor, bars[1:], bars[:-1]
    tilde = (1 - inner) / (1 - outer) * beta
    variance = beta**v * tilde ** (1 - v)
    mean_error = beta**2 / (1 - beta) / (1 - outer) * error
    terms = 0.5 * ((variance / tilde).log() - 1 + tilde / variance + mean_error / variance)
    terms[0] = 0.5 * ((2 * math.pi * beta[0]).log() + mean_error[0] / beta[0])
    return terms / LOG2


@pytest.mark.parametrize(("variance", "v"), [("posterior", 0.0), ("beta", 1.0), ("learned", 0.3)])
@pytest.mark.parametrize("std", [1.0, 0.3])
def test_every_term_has_its_closed_form(variance, v, std):
    """100,000 samples, five standard errors of each of 8 terms: false alarm 5e-6 (the seed is fixed)."""
    schedule = NoiseSchedule.log_snr(8, 20.0, -20.0)
    y_0 = data(std)
    plain = gaussian(std)
    both = lambda y, level: (plain(y, level), torch.full_like(y, v))  # noqa: E731
    bound = variational_bound(both if variance == "learned" else plain, schedule, y_0, range(40), variance)
    standard_error = bound.terms.std(0) / math.sqrt(40)
    assert ((bound.terms.mean(0) - expected_terms(schedule, std, v)).abs() < 5 * standard_error).all()
    bar = schedule.alpha_bars[-1].item()
    expected = 0.5 * (bar * y_0.square().mean(1) + (1 - bar) - 1 - math.log(1 - bar)) / LOG2
    torch.testing.assert_close(bound.prior, expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(bound.total, bound.terms.sum(1) + bound.prior)


@pytest.mark.parametrize("n_steps", [1, 3, 30])
def test_the_bound_is_tight_where_the_reverse_process_is_gaussian_with_variance_beta(n_steps):
    """Data N(0, 1): every y_n is N(0, 1), and y_{n-1} given y_n has variance beta. So any number of steps gives the
    entropy, 2.047 bits; five standard errors, false alarm 6e-7 (the seed is fixed)."""
    y_0 = data(1.0)
    bound = variational_bound(gaussian(1.0), NoiseSchedule.log_snr(n_steps, 15.0, -15.0), y_0, range(40), "beta")
    total = expected_terms(NoiseSchedule.log_snr(n_steps, 15.0, -15.0), 1.0, 1.0).sum().item()
    bar = NoiseSchedule.log_snr(n_steps, 15.0, -15.0).alpha_bars[-1].item()
    assert total - 0.5 * math.log2(1 - bar) == pytest.approx(entropy(1.0), abs=1e-12)
    assert abs(bound.total.mean().item() - entropy(1.0)) < 5 * bound.total.std().item() / math.sqrt(40)


@pytest.mark.parametrize("std", [1.0, 0.3])
@pytest.mark.parametrize("v", [0.0, 1.0])
def test_the_bound_closes_on_the_entropy_from_above(std, v):
    """By the closed form that the terms were checked against: the gap shrinks with the steps; at 4000 it is below 0.04
    bits with the posterior's variance, 0.01 with beta's."""
    gaps = []
    for n_steps in (10, 100, 4000):
        schedule = NoiseSchedule.log_snr(n_steps, 60.0, -60.0)
        bar = schedule.alpha_bars[-1].item()
        prior = 0.5 * (bar * std**2 - bar - math.log(1 - bar)) / LOG2
        gaps.append(expected_terms(schedule, std, v).sum().item() + prior - entropy(std))
    assert gaps[0] > gaps[1] - 1e-6
    assert gaps[1] > gaps[2] - 1e-6
    assert -1e-6 < gaps[2] < (0.01 if v else 0.04)


@pytest.mark.parametrize("std", [1.0, 0.3])
def test_the_flow_gives_the_density(std):
    """N(0, s^2 + sigma_1^2) at each clip: 3e-3 bits with 400 levels, and the error falls with the square of the
    step."""
    y_0 = data(std, 3, 50)
    errors = []
    for n_steps in (25, 50, 100, 400):
        schedule = NoiseSchedule.log_snr(n_steps, 40.0, -70.0)
        variance = std**2 + 1 / schedule.alpha_bars[0].item() - 1
        expected = 0.5 * ((2 * math.pi * torch.tensor(variance)).log() + y_0.square().mean(1) / variance) / LOG2
        errors.append((flow_bits(gaussian(std), schedule, y_0, [0, 1, 2]) - expected).abs().max().item())
    assert errors[3] < 3e-3
    slope = math.log2(errors[0] / errors[2]) / 2
    assert slope == pytest.approx(2, abs=0.1)


def test_bound_and_flow_agree():
    """On the same clips: both within 0.02 bits of the entropy, five standard errors of the mean being 0.011."""
    schedule, y_0 = NoiseSchedule.log_snr(100, 40.0, -30.0), data(0.5)
    bound = variational_bound(gaussian(0.5), schedule, y_0, range(40), "beta").total.mean().item()
    flow = flow_bits(gaussian(0.5), schedule, y_0, range(40)).mean().item()
    assert bound == pytest.approx(entropy(0.5), abs=0.02)
    assert flow == pytest.approx(entropy(0.5), abs=0.02)


def test_the_trace_estimator_is_unbiased_and_more_probes_are_better():
    """Data with neighbours that belong together: the Jacobian is not diagonal. 300 draws of the signs against the exact
    density, five standard errors; false alarm 6e-7 (the seeds are fixed)."""
    covariance = 0.9 ** (torch.arange(6.0, dtype=F64)[:, None] - torch.arange(6.0, dtype=F64)).abs()
    schedule = NoiseSchedule.log_snr(60, 40.0, -60.0)
    y_0 = torch.randn(1, 6, dtype=F64, generator=torch.Generator().manual_seed(0)) @ torch.linalg.cholesky(covariance).T
    blurred = covariance + (1 / schedule.alpha_bars[0].item() - 1) * torch.eye(6, dtype=F64)
    exact = -torch.distributions.MultivariateNormal(torch.zeros(6, dtype=F64), blurred).log_prob(y_0)[0] / LOG2 / 6
    spread = {}
    for n_probes in (1, 8):
        found = flow_bits(correlated(covariance), schedule, y_0.expand(300, 6), range(300), n_probes)
        spread[n_probes] = found.std().item()
        assert abs(found.mean() - exact) < 5 * spread[n_probes] / math.sqrt(300) + 0.003  # Heun's error
    assert spread[8] < spread[1] / 2


def test_an_item_does_not_depend_on_its_neighbours():
    schedule, y_0 = NoiseSchedule.log_snr(4), data(0.5, 3, 20)
    together = variational_bound(gaussian(0.5), schedule, y_0, [5, 6, 7])
    alone = variational_bound(gaussian(0.5), schedule, y_0[1:2], [6])
    assert torch.equal(together.terms[1:2], alone.terms)
    flow = flow_bits(gaussian(0.5), schedule, y_0, [5, 6, 7])
    assert torch.equal(flow[1:2], flow_bits(gaussian(0.5), schedule, y_0[1:2], [6]))


def test_the_flow_works_without_gradients_around_it_and_leaves_none():
    with torch.no_grad():
        bits = flow_bits(gaussian(0.5), NoiseSchedule.log_snr(3), data(0.5, 1, 5), [0])
    assert not bits.requires_grad


def test_what_makes_no_sense_is_refused():
    y_0 = data(0.5, 1, 5)
    with pytest.raises(ConfigError, match="1 levels"):
        flow_bits(gaussian(0.5), NoiseSchedule.log_snr(1), y_0, [0])
    with pytest.raises(ConfigError, match="0 probes"):
        flow_bits(gaussian(0.5), NoiseSchedule.log_snr(3), y_0, [0], 0)
