"""What the network is trained on: noise levels, mixtures, the loss."""

import inspect

import numpy as np
import pytest
import torch
from scipy import stats

from wavegrad.diffusion import NoiseSchedule, diffuse, draw_noise_levels, noise_loss
from wavegrad.diffusion.loss import noise_error
from wavegrad.errors import ConfigError


@pytest.mark.parametrize("n_steps", [1, 4, 50])
def test_levels_follow_algorithm_1(n_steps):
    """Kolmogorov-Smirnov against the piecewise linear distribution; false alarm 1e-6 (the seed is fixed)."""
    schedule = NoiseSchedule.linear(0.02, 0.3, n_steps)
    levels = draw_noise_levels(schedule, 20000, torch.Generator().manual_seed(0))
    assert levels.dtype == torch.float32
    borders = schedule.noise_levels.flip(0).numpy()

    def cumulative(x):
        return np.interp(x, borders, np.linspace(0, 1, n_steps + 1))

    assert stats.kstest(levels.double().numpy(), cumulative).pvalue > 1e-6


def test_the_cleanest_interval_is_drawn_too():
    """l_0 = 1: a public re-implementation overwrites it and never trains the last refinement step."""
    schedule = NoiseSchedule((0.1, 0.2, 0.5))
    levels = draw_noise_levels(schedule, 3000, torch.Generator().manual_seed(0))
    share = (levels > schedule.noise_levels[1]).float().mean()
    assert abs(share - 1 / 3) < 5 * (2 / 9 / 3000) ** 0.5  # five standard deviations: false alarm 6e-7


def test_no_level_rounds_to_1():
    """Level 1 has no noise in the mixture, yet some to predict; all of these are nearer to 1 than float32 gets."""
    levels = draw_noise_levels(NoiseSchedule((1e-9,)), 100, torch.Generator().manual_seed(0))
    assert (levels < 1).all()
    assert ((1 - levels.square()).sqrt() > 0).all()


def test_a_mixture_has_the_mean_and_variance_of_the_process():
    y_0, level = torch.full((1, 200000), 0.5, dtype=torch.float64), torch.tensor([0.6], dtype=torch.float64)
    noise = torch.randn(y_0.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y = diffuse(y_0, level, noise)
    assert y.mean().item() == pytest.approx(0.3, abs=5 * 0.8 / 200000**0.5)
    assert y.std().item() == pytest.approx(0.8, rel=5 / 400000**0.5)
    torch.testing.assert_close(diffuse(y_0, torch.ones(1, dtype=torch.float64), noise), y_0)


def test_losses_are_means_over_the_samples_that_count():
    noise, predicted = torch.zeros(2, 3), torch.tensor([[1.0, -2.0, 9.0], [3.0, 9.0, 9.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    assert noise_loss(noise, predicted, mask).item() == pytest.approx(2.0)
    assert noise_loss(noise, predicted, mask, "l2").item() == pytest.approx(14 / 3)
    assert noise_loss(noise, predicted).item() == pytest.approx(33 / 6)
    assert noise_loss(noise, predicted, torch.zeros_like(mask)).item() == 0


def test_masked_samples_have_no_gradient():
    predicted = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    noise_loss(torch.zeros(1, 4), predicted, torch.tensor([[True, False, True, False]])).backward()
    assert predicted.grad is not None
    assert (predicted.grad != 0).tolist() == [[True, False, True, False]]


def test_unknown_norms_are_refused():
    error = inspect.unwrap(noise_error)  # without the tests' own type checks
    with pytest.raises(ConfigError, match="unknown norm 'l3'"):
        error(torch.zeros(1, 1), torch.zeros(1, 1), norm="l3")
