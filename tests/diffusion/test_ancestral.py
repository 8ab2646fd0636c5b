"""The ancestral sampler against exact solutions: oracle, marginals, Gaussian (float64 throughout).

Each test misses faults that another one finds, so all three stay.
"""

import math
import warnings

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule, ancestral_sample, named_schedule
from wavegrad.errors import WavegradError

F64 = torch.float64
SHORT = NoiseSchedule.log_snr(8, 40.0, -25.0)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def oracle(y_0: torch.Tensor):
    """The exact noise of a known clip."""

    def predict_noise(y, level):
        return (y - level[:, None] * y_0) / (1 - level[:, None] ** 2).sqrt()

    return predict_noise


def gaussian(std: float):
    """The optimal predictor for data N(0, std^2): E[eps | y]."""

    def predict_noise(y, level):
        signal = level[:, None] ** 2
        return (1 - signal).sqrt() * y / (signal * std**2 + 1 - signal)

    return predict_noise


def gaussian_recursion(schedule: NoiseSchedule, std: float, variance: str) -> float:
    """Output std / data std: the scalar recursion of Algorithm 2, written out with alphas only."""
    v = 1.0
    bars = [1.0, *schedule.alpha_bars.tolist()]
    for n in range(schedule.n_steps, 0, -1):
        alpha, bar, inner = bars[n] / bars[n - 1], bars[n], bars[n - 1]
        gain = (1 - (1 - alpha) / (bar * std**2 + 1 - bar)) / math.sqrt(alpha)
        sigma2 = (1 - alpha) * (1.0 if variance == "beta" else (1 - inner) / (1 - bar)) if n > 1 else 0.0
        v = gain**2 * v + sigma2
    return math.sqrt(v) / std


@pytest.mark.parametrize("variance", ["posterior", "beta"])
@pytest.mark.parametrize(
    "schedule", [SHORT, named_schedule("public-6"), named_schedule("fibonacci-25")], ids=lambda s: s.name
)
def test_oracle(schedule, variance):
    """With the exact noise, every schedule and variance leads to the clip, whatever its size: a clamp would cut it."""
    y_0 = 20 * torch.randn(2, 500, dtype=F64, generator=torch.Generator().manual_seed(1))
    result = ancestral_sample(oracle(y_0), schedule, 500, [0, 1], variance=variance, dtype=F64)
    torch.testing.assert_close(result, y_0, rtol=1e-9, atol=1e-9)


def test_marginals():
    """After every step y_n has mean l_n y_0 and variance 1 - l_n^2: 100,000 samples, five standard deviations (9 x
    1e-6)."""
    n_samples, value = 100_000, 0.7
    y_0 = torch.full((1, n_samples), value, dtype=F64)
    levels = SHORT.noise_levels
    seen = []

    def check(n, y):
        seen.append(n)
        level = levels[n - 1].item()
        # l_N is not exactly 0: what is left of the wrong start, N(0, 1) for N(l_N y_0, 1 - l_N^2), shrinks with every
        # step
        spread = math.sqrt(1 - level**2)
        left = levels[-1].item() * value + 5 * spread / math.sqrt(n_samples)
        assert abs(y.mean().item() - level * value) < left + 1e-9
        assert y.var().item() == pytest.approx(
            1 - level**2, rel=5 * math.sqrt(2 / n_samples) + levels[-1].item() ** 2, abs=1e-9
        )

    ancestral_sample(oracle(y_0), SHORT, n_samples, [0], dtype=F64, on_step=check)
    assert seen == list(range(SHORT.n_steps, 0, -1))


@pytest.mark.parametrize("variance", ["posterior", "beta"])
@pytest.mark.parametrize("std", [0.1, 0.001])
@pytest.mark.parametrize(
    "schedule", [SHORT, named_schedule("public-6"), named_schedule("diffwave-6")], ids=lambda s: s.name
)
def test_gaussian(schedule, std, variance):
    """With the optimal predictor for N(0, std^2) the output variance follows the recursion: 100,000 samples, 5 sigma
    (1e-6)."""
    result = ancestral_sample(gaussian(std), schedule, 100_000, [0], variance=variance, dtype=F64)
    expected = gaussian_recursion(schedule, std, variance)
    assert (result.std() / std).item() == pytest.approx(expected, rel=5 / math.sqrt(2 * 100_000))


@pytest.mark.parametrize(
    ("name", "std", "posterior", "beta"),
    [
        ("wavegrad-training", 0.1, 0.97, 1.01),
        ("wavegrad-training", 0.001, 0.55, 1.71),
        ("wavegrad-50", 0.1, 0.84, 1.09),
        ("wavegrad-50", 0.001, 0.10, 0.33),
        ("fibonacci-25", 0.1, 0.92, 1.15),
        ("public-6", 0.1, 1.31, 1.91),
        ("public-6", 0.001, 0.53, 2.25),
        ("diffwave-6", 0.1, 0.65, 1.58),
    ],
)
def test_the_known_bias_of_each_schedule(name, std, posterior, beta):
    """At few steps the posterior variance loses energy and the beta variance adds noise: figures of an independent
    computation, cut to two digits."""
    for variance, expected in (("posterior", posterior), ("beta", beta)):
        assert gaussian_recursion(named_schedule(name), std, variance) == pytest.approx(expected, abs=0.0075)


def test_an_item_does_not_depend_on_its_neighbours():
    batch = ancestral_sample(gaussian(0.3), SHORT, 300, [4, 9, 4], dtype=F64)
    assert torch.equal(batch[1:2], ancestral_sample(gaussian(0.3), SHORT, 300, [9], dtype=F64))
    assert torch.equal(batch[0], batch[2])


def test_the_first_samples_do_not_depend_on_the_length():
    long, short = (ancestral_sample(gaussian(0.3), SHORT, n, [4]) for n in (5000, 100))
    assert torch.equal(long[:, :100], short)


def test_schedules_leave_no_trace():
    a = ancestral_sample(gaussian(0.3), SHORT, 100, [0])
    ancestral_sample(gaussian(0.3), named_schedule("public-6"), 100, [0])
    assert torch.equal(a, ancestral_sample(gaussian(0.3), SHORT, 100, [0]))


def test_the_network_sees_the_levels_of_the_schedule_from_noisy_to_clean():
    seen = []

    def predict_noise(y, level):
        seen.append(level.clone())
        return y

    ancestral_sample(predict_noise, SHORT, 10, [0, 1], dtype=F64)
    assert torch.equal(torch.stack(seen)[:, 0], SHORT.alpha_bars.sqrt().flip(0))
    assert all(level.shape == (2,) for level in seen)


def test_a_prediction_that_is_not_finite_is_refused_by_step():
    def predict_noise(y, level):
        return y * (float("nan") if level[0] > 0.9 else 1.0)

    with pytest.raises(WavegradError, match=r"refinement step \d of 8"):
        ancestral_sample(predict_noise, SHORT, 10, [0])
