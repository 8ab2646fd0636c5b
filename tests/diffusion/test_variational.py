"""One term of the bound against two Gaussians of torch.distributions."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from wavegrad.diffusion import NoiseSchedule, diffuse
from wavegrad.diffusion.noise_level import BELOW_ONE, Positions, draw_positions
from wavegrad.diffusion.variational import bound_term

F64 = torch.float64
SCHEDULE = NoiseSchedule.linear(1e-4, 0.2, 20)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [2, 7, 20])
def test_it_is_the_divergence_of_the_two_posteriors(n):
    """q has the mean of DDPM, eq. 7, p that of Algorithm 2 and the variance of Improved DDPM, eq. 15."""
    alpha_bar, inner, beta = SCHEDULE.alpha_bars[n - 1], SCHEDULE.alpha_bars[n - 2], SCHEDULE.betas_tensor[n - 1]
    y_0, noise, predicted, v = drawn(3, 40), drawn(3, 40, seed=1), drawn(3, 40, seed=2), drawn(3, 40, seed=3).sigmoid()
    outer_levels, inner_levels = alpha_bar.sqrt().expand(3), inner.sqrt().expand(3)
    y = diffuse(y_0, outer_levels, noise)
    tilde = (1 - inner) / (1 - alpha_bar) * beta
    q_mean = (inner.sqrt() * beta * y_0 + (1 - beta).sqrt() * (1 - inner) * y) / (1 - alpha_bar)
    p_mean = (y - beta / (1 - alpha_bar).sqrt() * predicted) / (1 - beta).sqrt()
    log_variance = v * beta.log() + (1 - v) * tilde.log()
    expected = kl_divergence(Normal(q_mean, tilde.sqrt()), Normal(p_mean, (log_variance / 2).exp())) / math.log(2)
    found = bound_term(noise, predicted, v, outer_levels, inner_levels)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_the_last_step_is_the_decoder():
    y_0, noise, predicted = drawn(2, 40), drawn(2, 40, seed=1), drawn(2, 40, seed=2)
    beta = SCHEDULE.betas_tensor[0]
    level = (1 - beta).sqrt().expand(2)
    mean = (diffuse(y_0, level, noise) - beta.sqrt() * predicted) / (1 - beta).sqrt()
    expected = -Normal(mean, beta.sqrt()).log_prob(y_0) / math.log(2)
    for v in (0.0, 1.0):
        found = bound_term(noise, predicted, torch.full_like(noise, v), level, torch.ones(2, dtype=F64))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_items_at_different_steps_do_not_mix_and_float32_is_enough():
    """Single precision agrees to 1e-4 from the first step to the last one of the paper's training schedule."""
    schedule = NoiseSchedule.linear(1e-6, 0.01, 1000)
    steps = torch.tensor([1, 2, 30, 1000])
    outer, inner = schedule.noise_levels[steps], schedule.noise_levels[steps - 1]
    noise, predicted, v = drawn(4, 40), drawn(4, 40, seed=1), drawn(4, 40, seed=2).sigmoid()
    exact = bound_term(noise, predicted, v, outer, inner)
    single = bound_term(noise.float(), predicted.float(), v.float(), outer, inner)
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-4)
    for i in range(4):
        alone = bound_term(noise[i : i + 1], predicted[i : i + 1], v[i : i + 1], outer[i : i + 1], inner[i : i + 1])
        assert torch.equal(alone[0], exact[i])


def test_steps_between_drawn_levels_are_those_of_a_schedule():
    """With one share for all, level and inner level of neighbouring steps meet: the terms are those of one bound."""
    share = torch.full((20,), 0.3, dtype=F64)
    positions = Positions(torch.arange(1, 21), share)
    levels, inner = positions.levels(SCHEDULE), positions.inner_levels(SCHEDULE)
    assert torch.equal(inner[1:], levels[:-1])
    assert inner[0] == 1
    assert (levels < inner).all()
    whole = Positions(torch.arange(1, 21), torch.ones(20, dtype=F64))
    torch.testing.assert_close(whole.levels(SCHEDULE), SCHEDULE.noise_levels[1:], rtol=1e-15, atol=0)
    torch.testing.assert_close(whole.inner_levels(SCHEDULE), SCHEDULE.noise_levels[:-1], rtol=1e-15, atol=0)


def test_every_level_drawn_has_a_term():
    """Also those that would round to 1."""
    positions = draw_positions(NoiseSchedule.linear(1e-9, 1e-3, 3), 500, torch.Generator().manual_seed(0))
    levels = positions.levels(NoiseSchedule.linear(1e-9, 1e-3, 3))
    assert levels.max() <= BELOW_ONE
    noise = drawn(500, 3)
    inner = positions.inner_levels(NoiseSchedule.linear(1e-9, 1e-3, 3))
    assert bound_term(noise, noise * 0.9, noise.sigmoid(), levels, inner).isfinite().all()
