"""Seeded noise, a CPU's and a GPU's: a function of seed, step and absolute sample, and normal."""

import inspect

import pytest
import torch
from scipy import stats

from wavegrad.diffusion import CounterNoise, Noise, SeededNoise, seeded_noise
from wavegrad.errors import ConfigError

SEEDS = (5, -6, 2**70)


@pytest.fixture(params=[SeededNoise, CounterNoise])
def kind(request) -> type[Noise]:
    return request.param


def test_noise_does_not_depend_on_how_it_is_cut(kind):
    noise = kind([3])
    whole = noise(2, 20000)
    for start, n in ((0, 1), (1, 2), (3, 1), (4095, 2), (5000, 10000), (5002, 9999), (8192, 4096), (19999, 1), (7, 0)):
        assert torch.equal(noise(2, n, start), whole[:, start : start + n])


def test_noise_of_an_item_does_not_depend_on_its_neighbours(kind):
    batch = kind(SEEDS)(1, 5000)
    for i, seed in enumerate(SEEDS):
        assert torch.equal(batch[i], kind([seed])(1, 5000)[0])


def test_several_steps_at_once(kind):
    noise = kind(SEEDS)
    together = noise.draws([6, 0, 2], 50, 4094)
    assert together.shape == (3, 3, 50)
    for found, step in zip(together, (6, 0, 2), strict=True):
        assert torch.equal(found, noise(step, 50, 4094))


def test_noise_is_standard_normal(kind):
    """Kolmogorov-Smirnov and four moments over 100,000 samples; false alarm 1e-6 and 4 x 6e-7 (the seed is fixed)."""
    noise = kind([0])(1, 100_000)[0].double()
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-6
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((noise**power).mean() - moment) < 5 * (variance / 100_000) ** 0.5


@pytest.mark.parametrize(
    ("a", "b"), [((0, 1, 0), (1, 1, 0)), ((0, 1, 0), (0, 2, 0)), ((0, 1, 0), (0, 1, 4096)), ((1, 1, 0), (-1, 1, 0))]
)
def test_other_seeds_steps_and_places_are_uncorrelated(kind, a, b):
    """Correlation of 4096 pairs below five standard deviations: false alarm 6e-7."""
    x, y = (kind([seed])(step, 4096, start)[0] for seed, step, start in (a, b))
    assert abs((x * y).mean()) < 5 / 4096**0.5


def test_neighbours_are_independent(kind):
    """Correlations of values, and of their squares, 1 to 8 samples apart, over 200,000 pairs: 16 bounds of five
    standard deviations, false alarm 1e-5. Numbers made of the same bits may be uncorrelated; their squares are not."""
    noise = kind([11])(3, 200_000)[0].double()
    for values in (noise, (noise.square() - 1) / 2**0.5):
        for lag in range(1, 9):
            pairs = values[:-lag] * values[lag:]
            assert abs(pairs.mean()) < 5 / len(pairs) ** 0.5, lag


def test_precision_changes_the_type_and_not_the_values(kind):
    assert torch.equal(kind([0], dtype=torch.float64)(1, 100), kind([0])(1, 100).double())
    assert kind([0])(1, 100).dtype == torch.float32


@pytest.mark.parametrize("arguments", [(-1, 10, 0), (1, -10, 0), (1, 10, -1)])
def test_negative_places_are_refused(kind, arguments):
    with pytest.raises(ConfigError, match="none may be negative"):
        kind([0])(*arguments)


def test_a_batch_without_items_is_refused(kind):
    with pytest.raises(ConfigError, match="no seeds"):
        kind([])


def test_a_gpu_draws_its_own(monkeypatch):
    """Which class, and that all arguments reach it; no device is touched."""
    made = []
    for name in ("CounterNoise", "SeededNoise"):
        monkeypatch.setattr(f"wavegrad.diffusion.counter_noise.{name}", lambda *a, name=name: made.append((name, *a)))
    f64, choose = torch.float64, inspect.unwrap(seeded_noise)  # without the tests' own type checks
    for device in ("cpu", "cuda", torch.device("cuda", 1), "mps"):
        choose([1, 2], device, f64)
    assert made == [
        ("SeededNoise", [1, 2], "cpu", f64),
        ("CounterNoise", [1, 2], "cuda", f64),
        ("CounterNoise", [1, 2], torch.device("cuda", 1), f64),
        ("SeededNoise", [1, 2], "mps", f64),
    ]


@pytest.mark.gpu
def test_the_noise_of_a_cpu_is_the_same_on_every_device():
    assert torch.equal(SeededNoise([7], "cuda")(3, 5000, 100).cpu(), SeededNoise([7])(3, 5000, 100))


@pytest.mark.gpu
def test_the_noise_of_a_gpu_is_the_same_on_every_device():
    """But for the last bit of a number now and then."""
    here, there = (CounterNoise(SEEDS, device).draws([0, 5], 200_003, 2**34 + 1).cpu() for device in ("cpu", "cuda"))
    torch.testing.assert_close(there, here, rtol=2.0**-22, atol=1e-12)
    assert (there != here).double().mean() < 1e-5
    assert isinstance(seeded_noise(SEEDS, "cuda"), CounterNoise)
