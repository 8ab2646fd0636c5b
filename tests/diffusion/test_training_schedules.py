"""Training schedules by kind, against their definitions."""

import inspect
import itertools
import math

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule
from wavegrad.diffusion.discrete import find_steps, sub_schedules
from wavegrad.diffusion.training_schedules import quadratic, sigmoid, training_schedule
from wavegrad.errors import ConfigError


def test_linear_is_the_papers():
    assert training_schedule("linear", 1000, 1e-6, 0.01) == NoiseSchedule.linear(1e-6, 0.01, 1000)


def test_the_roots_of_a_quadratic_schedule_are_evenly_spaced():
    betas = training_schedule("quadratic", 5, 1e-4, 0.25).betas
    assert betas[0] == pytest.approx(1e-4)
    assert betas[-1] == pytest.approx(0.25)
    roots = [math.sqrt(beta) for beta in betas]
    assert [b - a for a, b in itertools.pairwise(roots)] == pytest.approx([0.49 / 4] * 4)


def test_cosine_is_equation_17():
    found = training_schedule("cosine", 200, 1e-6, 0.01)
    f = [math.cos((n / 200 + 0.008) / 1.008 * math.pi / 2) ** 2 for n in range(201)]
    expected = torch.tensor([x / f[0] for x in f[1:-1]], dtype=torch.float64)
    torch.testing.assert_close(found.alpha_bars[:-1], expected, rtol=1e-9, atol=0)
    assert found.betas[-1] == 0.999


def test_sigmoid_runs_along_a_logistic_curve():
    """With the curve moved and scaled to run from 1 to 0, alpha_bar is 1/2 half-way, by symmetry."""
    found = training_schedule("sigmoid", 100, 1e-6, 0.01)
    curve = [1 / (1 + math.exp(-(-3 + 6 * n / 100))) for n in range(101)]
    expected = torch.tensor([(curve[-1] - c) / (curve[-1] - curve[0]) for c in curve[1:-1]], dtype=torch.float64)
    torch.testing.assert_close(found.alpha_bars[:-1], expected, rtol=1e-9, atol=0)
    assert found.alpha_bars[49].item() == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["linear", "quadratic", "cosine", "sigmoid"])
@pytest.mark.parametrize("n_steps", [1, 2, 1000])
def test_every_kind_has_any_length(kind, n_steps):
    assert training_schedule(kind, n_steps, 1e-6, 0.01).n_steps == n_steps


def test_nonsense_is_refused():
    kinds = inspect.unwrap(training_schedule)  # without the tests' own type checks
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        kinds("cosin", 10, 1e-6, 0.01)
    for make in (lambda: quadratic(0.0, 0.1, 3), lambda: quadratic(0.1, 1.0, 3), lambda: sigmoid(0)):
        with pytest.raises(ConfigError):
            make()
    with pytest.raises(ConfigError, match="start below end"):
        sigmoid(3, 1.0, 1.0)


TRAINING = NoiseSchedule.linear(1e-6, 0.01, 1000)


def test_parts_of_the_training_schedule_are_known_by_step():
    for part, steps in (
        (TRAINING, list(range(1, 1001))),
        (TRAINING.strided(6), [167, 333, 500, 667, 833, 1000]),
        (TRAINING.sub_schedule([1, 2, 900]), [1, 2, 900]),
    ):
        levels = part.noise_levels[1:]
        assert find_steps(levels.tolist(), TRAINING, "it") == steps
        assert find_steps(levels.float().tolist(), TRAINING, "it") == steps


def test_other_levels_are_refused_with_the_nearest_one():
    with pytest.raises(
        ConfigError, match=r"it asks for sqrt\(alpha_bar\) = 0\.5, .* 1000 training steps .* step 5\d\d\)"
    ):
        find_steps([0.999, 0.5], NoiseSchedule((1 - 0.999**2, *TRAINING.betas[1:])), "it")


def test_a_new_model_of_indices_comes_with_parts_of_its_schedule():
    assert list(sub_schedules(TRAINING)) == ["6", "25", "50", "1000"]
    assert list(sub_schedules(TRAINING.strided(10))) == ["6", "10"]
    for schedule in sub_schedules(TRAINING).values():
        assert schedule.terminal_level == pytest.approx(TRAINING.terminal_level)
