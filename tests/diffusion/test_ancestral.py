"""The ancestral sampler against exact solutions: oracle, marginals, Gaussian (float64 throughout).

Each test misses faults that another one finds, so all three stay.
"""

import inspect
import math

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule, SeededNoise, ancestral_sample, named_schedule
from wavegrad.errors import ConfigError, WavegradError

F64 = torch.float64
SHORT = NoiseSchedule.log_snr(8, 40.0, -25.0)

pytestmark = pytest.mark.filterwarnings("ignore::wavegrad.diffusion.ScheduleWarning")


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
    """Output std / data std: the scalar recursion of Algorithm 2, written out with alpha_bars only."""
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
    """After every step y_n has mean l_n y_0 and variance 1 - l_n^2.

    100,000 samples and five standard deviations, for eight means and variances: false alarm 1e-5 (the seed is fixed).
    """
    n_samples, value = 100_000, 0.7
    y_0 = torch.full((1, n_samples), value, dtype=F64)
    levels = SHORT.noise_levels
    seen = []

    def check(n, y):
        seen.append(n)
        level = levels[n - 1].item()
        # l_N is not 0: of the wrong start, N(0, 1) for N(l_N y_0, 1 - l_N^2), a little is left that shrinks
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
    """With the optimal predictor for N(0, std^2) the output variance follows the recursion.

    100,000 samples and five standard deviations: false alarm 6e-7 each (the seed is fixed).
    """
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
        ("fibonacci-25", 0.001, 0.63, 0.96),
        ("public-6", 0.1, 1.31, 1.91),
        ("public-6", 0.001, 0.53, 2.25),
        ("diffwave-6", 0.1, 0.65, 1.58),
        ("diffwave-6", 0.001, 0.10, 0.33),
    ],
)
def test_the_known_bias_of_each_schedule(name, std, posterior, beta):
    """At few steps the posterior variance loses energy and the beta variance adds noise: the figures of an independent
    computation, cut or rounded to two digits."""
    for variance, expected in (("posterior", posterior), ("beta", beta)):
        assert gaussian_recursion(named_schedule(name), std, variance) == pytest.approx(expected, abs=0.0075)


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_each_step_is_a_posterior_sample(variance):
    """y_{n-1} is sigma_n z and the mean of q(y_{n-1} | y_n, y_0) (DDPM, eq. 7) for the y_0 that the prediction implies.

    Another form of Algorithm 2, with its random numbers: the z in y_n is the seeded noise of step n, y_N that of N.
    """
    schedule, noise = named_schedule("diffwave-6"), SeededNoise([3, 5], dtype=F64)
    bars, betas = [1.0, *schedule.alpha_bars.tolist()], [math.nan, *schedule.betas]
    y = noise(6, 50)

    def predict_noise(y, level):
        return torch.tanh(3 * y) * level[:, None]

    def check(n, found):
        nonlocal y
        bar, inner, beta = bars[n], bars[n - 1], betas[n]
        y_0 = (y - math.sqrt(1 - bar) * torch.tanh(3 * y) * math.sqrt(bar)) / math.sqrt(bar)
        y = (math.sqrt(inner) * beta * y_0 + math.sqrt(1 - beta) * (1 - inner) * y) / (1 - bar)
        if n > 1:
            y += math.sqrt(beta if variance == "beta" else beta * (1 - inner) / (1 - bar)) * noise(n - 1, 50)
        torch.testing.assert_close(found, y, rtol=1e-9, atol=1e-9)

    ancestral_sample(predict_noise, schedule, 50, [3, 5], variance=variance, dtype=F64, on_step=check)


def test_an_item_does_not_depend_on_its_neighbours():
    batch = ancestral_sample(gaussian(0.3), SHORT, 300, [4, 9, 4])
    assert torch.equal(batch[1:2], ancestral_sample(gaussian(0.3), SHORT, 300, [9]))
    assert torch.equal(batch[0], batch[2])
    assert not torch.equal(batch[0], batch[1])


def test_the_first_samples_do_not_depend_on_the_length():
    long, short = (ancestral_sample(gaussian(0.3), SHORT, n, [4]) for n in (5000, 100))
    assert torch.equal(long[:, :100], short)


def test_schedules_leave_no_trace():
    a = ancestral_sample(gaussian(0.3), SHORT, 100, [0])
    b = ancestral_sample(gaussian(0.3), named_schedule("public-6"), 100, [0])
    assert not torch.equal(a, b)
    assert torch.equal(a, ancestral_sample(gaussian(0.3), SHORT, 100, [0]))


def test_the_state_has_the_precision_asked_for():
    for dtype in (torch.float32, F64):
        assert ancestral_sample(gaussian(0.3), SHORT, 10, [0], dtype=dtype).dtype == dtype
    single, double = (ancestral_sample(gaussian(0.3), SHORT, 1000, [0], dtype=dtype) for dtype in (torch.float32, F64))
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


def test_the_network_sees_the_levels_of_the_schedule_from_noisy_to_clean():
    seen = []

    def predict_noise(y, level):
        seen.append(level.clone())
        return y

    ancestral_sample(predict_noise, SHORT, 10, [0, 1], dtype=F64)
    assert torch.equal(torch.stack(seen)[:, 0], SHORT.alpha_bars.sqrt().flip(0))
    assert all(level.shape == (2,) for level in seen)


def test_a_prediction_that_is_not_finite_is_refused_by_step_and_item():
    def predict_noise(y, level):
        return y / (1 - (level[:, None] > 0.9) * torch.tensor([[0.0], [1.0]]))

    with pytest.raises(WavegradError, match=r"refinement step 4 of 8 \(items \[1\] of the batch\)"):
        ancestral_sample(predict_noise, SHORT, 10, [0, 1])


def test_a_prediction_of_another_shape_is_refused():
    """It would broadcast."""
    with pytest.raises(WavegradError, match=r"shape \(1, 10\), y has \(2, 10\) at refinement step 8 of 8"):
        ancestral_sample(lambda y, level: y[:1], SHORT, 10, [0, 1])


def test_unknown_variances_are_refused():
    sample = inspect.unwrap(ancestral_sample)  # without the tests' own type checks
    with pytest.raises(ConfigError, match="did you mean 'beta'"):
        sample(oracle(torch.zeros(1, 10)), SHORT, 10, [0], variance="betas")


@pytest.mark.gpu
def test_the_device_changes_rounding_only(monkeypatch):
    """With the noise of a CPU on both."""
    monkeypatch.setattr("wavegrad.diffusion.samplers.sampler.seeded_noise", SeededNoise)
    there, here = (ancestral_sample(gaussian(0.3), SHORT, 5000, [4, 9], device=d, dtype=F64) for d in ("cuda", "cpu"))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-9)
