"""Seeded noise: a function of seed, step and absolute sample, and normal."""

import pytest
import torch
from scipy import stats

from wavegrad.diffusion import SeededNoise
from wavegrad.errors import ConfigError


def test_noise_does_not_depend_on_how_it_is_cut():
    noise = SeededNoise([3])
    whole = noise(2, 20000)
    for start, n in ((0, 1), (4095, 2), (5000, 10000), (8192, 4096), (19999, 1)):
        assert torch.equal(noise(2, n, start), whole[:, start : start + n])


def test_noise_of_an_item_does_not_depend_on_its_neighbours():
    batch = SeededNoise([5, -6, 2**70])(1, 5000)
    for i, seed in enumerate((5, -6, 2**70)):
        assert torch.equal(batch[i], SeededNoise([seed])(1, 5000)[0])


def test_noise_is_standard_normal():
    """Kolmogorov-Smirnov and four moments over 100,000 samples; false alarm 1e-6 and 4 x 6e-7 (the seed is fixed)."""
    noise = SeededNoise([0])(1, 100_000)[0].double()
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-6
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((noise**power).mean() - moment) < 5 * (variance / 100_000) ** 0.5


@pytest.mark.parametrize(
    ("a", "b"), [((0, 1, 0), (1, 1, 0)), ((0, 1, 0), (0, 2, 0)), ((0, 1, 0), (0, 1, 4096)), ((1, 1, 0), (-1, 1, 0))]
)
def test_other_seeds_steps_and_places_are_uncorrelated(a, b):
    """Correlation of 4096 pairs below five standard deviations: false alarm 6e-7."""
    x, y = (SeededNoise([seed])(step, 4096, start)[0] for seed, step, start in (a, b))
    assert abs((x * y).mean()) < 5 / 4096**0.5


def test_precision_changes_the_type_and_not_the_values():
    assert torch.equal(SeededNoise([0], dtype=torch.float64)(1, 100), SeededNoise([0])(1, 100).double())


@pytest.mark.parametrize("arguments", [(-1, 10, 0), (1, -10, 0), (1, 10, -1)])
def test_negative_places_are_refused(arguments):
    with pytest.raises(ConfigError, match="none may be negative"):
        SeededNoise([0])(*arguments)


def test_a_batch_without_items_is_refused():
    with pytest.raises(ConfigError, match="no seeds"):
        SeededNoise([])


@pytest.mark.gpu
def test_noise_is_the_same_on_every_device():
    assert torch.equal(SeededNoise([7], "cuda")(3, 5000, 100).cpu(), SeededNoise([7])(3, 5000, 100))
