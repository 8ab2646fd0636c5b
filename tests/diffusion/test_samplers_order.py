"""Every sampler has the order that it declares: measured as the slope of log error over log step, in float64."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from tests.diffusion.exact import DETERMINISTIC, F64, SAMPLERS_AND_VARIANTS, gaussian, mixture
from wavegrad.diffusion import Ancestral, NoiseSchedule, Sampler, SeededNoise

FIRST_DB, LAST_DB = 12.0, -12.0
PARTS = [(0.3, -0.7, 0.2), (0.7, 0.5, 0.4)]


def schedule_of(n_steps: int) -> NoiseSchedule:
    """`n_steps` steps in log-SNR between two fixed levels, every other one twice as long as its neighbours, and the
    last one, to level 0."""
    lengths = torch.tensor([1.0, 2.0], dtype=F64).repeat(n_steps // 2)
    way = torch.cat((torch.zeros(1, dtype=F64), lengths.cumsum(0) / lengths.sum()))
    log_snr = (FIRST_DB + way * (LAST_DB - FIRST_DB)) * np.log(10) / 10
    return NoiseSchedule.from_noise_levels(torch.sigmoid(log_snr).sqrt().tolist())


def y_1_of(sampler: Sampler, predict_noise, schedule: NoiseSchedule, start: torch.Tensor) -> torch.Tensor:
    """Where the walk is before its last step."""
    states = {}
    sampler(
        predict_noise, schedule, start.shape[1], [0], dtype=F64, start=start, on_step=lambda n, y: states.update({n: y})
    )
    return states[2]


def slope(steps: list[int], errors: list[float]) -> float:
    """-d log(error) / d log(steps) by least squares."""
    return -np.polyfit(np.log(steps), np.log(errors), 1)[0].item()


def probability_flow(predict_noise, schedule: NoiseSchedule, start: torch.Tensor) -> torch.Tensor:
    """y_1 of dx / dsigma = epsilon, x = y / sqrt(alpha_bar), in log sigma, by an eighth-order method of scipy."""
    signal = schedule.alpha_bars[[0, -1]].sqrt()
    inner, outer = ((1 - signal**2).sqrt() / signal).tolist()

    def slope_of(log_sigma, x):
        sigma = float(np.exp(log_sigma))
        level = torch.tensor([(1 + sigma**2) ** -0.5], dtype=F64)
        return sigma * predict_noise(level * torch.from_numpy(x)[None], level)[0].numpy()

    x = (start[0] / signal[-1]).numpy()
    found = solve_ivp(slope_of, (np.log(outer), np.log(inner)), x, "DOP853", rtol=1e-12, atol=1e-12)
    return signal[0] * torch.from_numpy(found.y[:, -1])[None]


START = torch.linspace(-2, 2, 9, dtype=F64)[None]


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_on_a_gaussian(name):
    """The exact path: y_n keeps its ratio to the standard deviation of level n."""
    sampler, std = SAMPLERS_AND_VARIANTS[name], 0.3
    steps, errors = [32, 64, 128], []
    for n in steps:
        schedule = schedule_of(n)
        bars = schedule.alpha_bars
        spreads = (bars * std**2 + 1 - bars).sqrt()
        found = y_1_of(sampler, gaussian(std), schedule, START)
        errors.append((found - START * spreads[0] / spreads[-1]).abs().max().item())
    assert slope(steps, errors) == pytest.approx(sampler.order, abs=0.12)
    assert errors[-1] < 1e-2


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_order_on_a_mixture(name):
    sampler = SAMPLERS_AND_VARIANTS[name]
    reference = probability_flow(mixture(PARTS), schedule_of(2), START)
    steps = [32, 64, 128, 256]
    errors = [
        (y_1_of(sampler, mixture(PARTS), schedule_of(n), START) - reference).square().mean().sqrt().item()
        for n in steps
    ]
    assert slope(steps, errors) == pytest.approx(sampler.order, abs=0.12)
    assert errors[-1] < 1e-2


class Impulses:
    """Noise that is 1 at the place of its own index, 0 elsewhere: a linear walk then holds, at place i, the coefficient
    of draw i, and the sum of their squares is the exact variance. A draw that is used twice shows, too."""

    def __init__(self, seeds, device, dtype):
        self.dtype = dtype

    def __call__(self, index: int, n_samples: int) -> torch.Tensor:
        return (torch.arange(n_samples) == index).to(self.dtype)[None]


LINEAR = ("ancestral", "ancestral, beta", "ddim, eta 0.5", "ddim, eta 1", "euler-maruyama")


@pytest.fixture
def impulses(monkeypatch):
    monkeypatch.setattr("wavegrad.diffusion.samplers.sampler.seeded_noise", Impulses)


@pytest.mark.parametrize("name", LINEAR)
def test_weak_order_on_a_gaussian(name, impulses):
    """Of the variance at level 1, exactly, from a start of the right variance."""
    std = 0.3
    sampler = type(SAMPLERS_AND_VARIANTS[name])(**{**vars(SAMPLERS_AND_VARIANTS[name]), "data_std": std})
    steps, errors = [32, 64, 128, 256], []
    for n in steps:
        schedule, found = schedule_of(n), {}
        sampler(
            gaussian(std), schedule, n + 2, [0], dtype=F64, on_step=lambda n, y, found=found: found.update({n - 1: y})
        )
        bar = schedule.alpha_bars[0].item()
        errors.append(abs(found[1].square().sum().item() - (bar * std**2 + 1 - bar)))
    assert slope(steps, errors) == pytest.approx(sampler.order, abs=0.12)
    assert errors[-1] < 1e-2


def step_of(name: str, bar: float, inner: float, std: float) -> tuple[float, float]:
    """(gain, variance of the noise) of one step for data N(0, std^2), written with alpha_bars alone."""
    alpha, total = bar / inner, bar * std**2 + 1 - bar
    if name == "euler-maruyama":
        integral = np.log(1 / alpha)
        return 1 + integral / 2 - integral / total, integral
    tilde = (1 - inner) * (1 - alpha) / (1 - bar)
    if name.startswith("ddim"):
        sigma2 = (0.25 if "0.5" in name else 1.0) * tilde
        y_0, noise = np.sqrt(bar) * std**2 / total, np.sqrt(1 - bar) / total
        return np.sqrt(inner) * y_0 + np.sqrt(1 - inner - sigma2) * noise, sigma2
    gain = (1 - (1 - alpha) / total) / np.sqrt(alpha)
    return gain, 1 - alpha if "beta" in name else tilde


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("std", [0.05, 1.0])
def test_marginals(name, std, impulses):
    """Variance after every step against the scalar recursion, exactly; mean: a walk without noise stays at 0, below."""
    schedule = NoiseSchedule.log_snr(8, 30.0, -22.0)
    bars, v, found = [1.0, *schedule.alpha_bars.tolist()], 1.0, {}
    SAMPLERS_AND_VARIANTS[name](
        gaussian(std), schedule, 10, [0], dtype=F64, on_step=lambda n, y: found.update({n - 1: y.square().sum().item()})
    )
    for n in range(8, 1, -1):
        gain, sigma2 = step_of(name, bars[n], bars[n - 1], std)
        v = gain**2 * v + sigma2
        assert found[n - 1] == pytest.approx(v, rel=1e-9)
    last = np.sqrt(bars[1]) * std**2 / (bars[1] * std**2 + 1 - bars[1])  # E[y_0 | y_1] / y_1
    assert found[0] == pytest.approx(last**2 * v, rel=1e-9)


@pytest.mark.parametrize("name", LINEAR)
def test_means(name, impulses):
    """Data N(m, s^2), started at the mean of level N: where no draw falls (place 0), the walk keeps to the means of the
    levels, but for what Euler and Maruyama's drift, of first order, leaves."""
    schedule, mean = NoiseSchedule.log_snr(256, 30.0, -22.0), 0.8
    start = torch.full((1, 300), schedule.terminal_level * mean, dtype=F64)
    levels, error = schedule.noise_levels, []
    SAMPLERS_AND_VARIANTS[name](
        gaussian(0.3, mean),
        schedule,
        300,
        [0],
        dtype=F64,
        start=start,
        on_step=lambda n, y: error.append(abs(y[0, 0].item() - levels[n - 1].item() * mean)),
    )
    assert max(error) < (2e-2 if name == "euler-maruyama" else 1e-9)


@pytest.mark.parametrize("std", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("levels", [(0.9, 0.2), (0.99, 0.98), (0.5, 0.01)])
def test_the_analytic_variance_is_exact_on_a_gaussian(std, levels):
    """Mean and variance of q(y_1 | y_2) of a Gaussian by Bayes' rule, for a y_2 whose mean square is that of its level:
    with them, y_1 has its exact variance, however large the step."""
    schedule = NoiseSchedule.from_noise_levels(levels)
    inner, bar = levels[0] ** 2, levels[1] ** 2
    v, v_inner, alpha = bar * std**2 + 1 - bar, inner * std**2 + 1 - inner, bar / inner
    y_2 = SeededNoise([5], dtype=F64)(9, 1000)
    y_2 *= (v / y_2.square().mean()).sqrt()
    variance = 1 / (1 / v_inner + alpha / (1 - alpha))
    expected = variance * np.sqrt(alpha) / (1 - alpha) * y_2 + variance**0.5 * SeededNoise([0], dtype=F64)(1, 1000)
    found = y_1_of(Ancestral(variance="analytic"), gaussian(std), schedule, y_2)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-7)
