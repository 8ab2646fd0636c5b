"""What every sampler keeps to: exact noise leads home, items are independent, calls are counted, mistakes are named."""

import dataclasses
import math
import warnings

import pytest
import torch

from tests.diffusion.exact import BY_WHOLE_ITEMS, DETERMINISTIC, F64, SAMPLERS_AND_VARIANTS, gaussian, oracle
from wavegrad.diffusion import (
    DDIM,
    SAMPLERS,
    Ancestral,
    DPMSolver,
    NoiseSchedule,
    PredictorCorrector,
    Sampler,
    SeededNoise,
    ancestral_sample,
    named_schedule,
)
from wavegrad.errors import ConfigError, WavegradError

SHORT = NoiseSchedule.log_snr(6, 35.0, -22.0)
FOR_A_POINT = [
    name for name in SAMPLERS_AND_VARIANTS if name not in ("ancestral, beta", "ancestral, analytic", "euler-maruyama")
]
"""Those whose marginals are exact for data that are a single point: the beta variance is made for wider data, the
analytic one rests on a mean over samples, and Euler-Maruyama is for small steps."""

pytestmark = pytest.mark.filterwarnings("ignore::wavegrad.diffusion.ScheduleWarning")


@pytest.fixture(params=SAMPLERS_AND_VARIANTS)
def sampler(request) -> Sampler:
    return SAMPLERS_AND_VARIANTS[request.param]


@pytest.mark.parametrize("schedule", [SHORT, named_schedule("public-6")], ids=lambda s: s.name)
def test_oracle(sampler, schedule):
    """With the exact noise every sampler leads to the clip, whatever its size: a clamp would cut it."""
    y_0 = 20 * torch.randn(2, 300, dtype=F64, generator=torch.Generator().manual_seed(1))
    result = sampler(oracle(y_0), schedule, 300, [0, 1], dtype=F64)
    torch.testing.assert_close(result, y_0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_the_deterministic_ones_keep_their_noise(name):
    """With the exact noise of a clip the path is known: y_n = l_n y_0 + s_n epsilon, epsilon that of the start."""
    y_0, start = (SeededNoise([seed], dtype=F64)(0, 100) for seed in (1, 2))
    levels = SHORT.noise_levels.tolist()
    epsilon = (start - levels[-1] * y_0) / math.sqrt(1 - levels[-1] ** 2)

    def check(n, y):
        expected = levels[n - 1] * y_0 + math.sqrt(1 - levels[n - 1] ** 2) * epsilon
        torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)

    SAMPLERS_AND_VARIANTS[name](oracle(y_0), SHORT, 100, [0], dtype=F64, start=start, on_step=check)


@pytest.mark.parametrize("name", FOR_A_POINT)
def test_marginals(name):
    """With the exact noise, after every step, y_n has mean l_n y_0 and variance 1 - l_n^2.

    100,000 samples and five standard deviations for ten means and variances each: false alarm 2e-5 (the seed is
    fixed). Langevin steps of size e leave a variance that is larger by 1 / (1 - e / 2), which is allowed for.
    """
    n_samples, value = 100_000, 0.7
    levels = SHORT.noise_levels.tolist()
    sampler = SAMPLERS_AND_VARIANTS[name]
    bias = sampler.snr**2 if isinstance(sampler, PredictorCorrector) else 0.0

    def check(n, y):
        level = levels[n - 1]
        spread = math.sqrt(1 - level**2)
        left = levels[-1] * value + 5 * spread / math.sqrt(n_samples)  # of the start, whose mean is 0
        assert abs(y.mean().item() - level * value) < left + 1e-9
        assert y.var().item() == pytest.approx(
            1 - level**2, rel=5 * math.sqrt(2 / n_samples) + levels[-1] ** 2 + 2 * bias, abs=1e-9
        )

    y_0 = torch.full((1, n_samples), value, dtype=F64)
    sampler(oracle(y_0), SHORT, n_samples, [0], dtype=F64, on_step=check)


def test_an_item_does_not_depend_on_its_neighbours(sampler):
    batch = sampler(gaussian(0.3), SHORT, 300, [4, 9, 4])
    assert torch.equal(batch[1:2], sampler(gaussian(0.3), SHORT, 300, [9]))
    assert torch.equal(batch[0], batch[2])
    assert not torch.equal(batch[0], batch[1])


@pytest.mark.parametrize("name", [name for name in SAMPLERS_AND_VARIANTS if name not in BY_WHOLE_ITEMS])
def test_the_first_samples_do_not_depend_on_the_length(name):
    long, short = (SAMPLERS_AND_VARIANTS[name](gaussian(0.3), SHORT, n, [4]) for n in (4200, 100))
    assert torch.equal(long[:, :100], short)


@pytest.mark.parametrize("n_steps", [1, 2, 6])
def test_calls_are_counted(sampler, n_steps):
    """As many network calls as announced, all at levels of the schedule (2S: and half-way between them)."""
    schedule, seen = NoiseSchedule.log_snr(n_steps), []

    def predict_noise(y, level):
        seen.append(level[0].item())
        assert level.shape == (2,)
        return y

    sampler(predict_noise, schedule, 10, [0, 1], dtype=F64)
    assert len(seen) == sampler.n_calls(schedule)
    known = schedule.noise_levels[1:].tolist()
    between = [level for level in seen if not any(level == pytest.approx(other, rel=1e-12) for other in known)]
    half_way = n_steps - 1 if sampler == DPMSolver(variant="2S") else 0
    assert len(between) == half_way
    for level, outer, inner in zip(between, known[::-1], known[-2::-1], strict=False):
        snr, *ends = (x**2 / (1 - x**2) for x in (level, outer, inner))
        assert snr == pytest.approx(math.sqrt(math.prod(ends)))


def test_one_step_is_the_prediction(sampler):
    """Of a single step, every sampler makes the same: the predicted y_0."""
    schedule = NoiseSchedule((0.9,))
    y = SeededNoise([3], dtype=F64)(1, 50)
    expected = (y - math.sqrt(0.9) * torch.tanh(y)) / math.sqrt(0.1)
    found = sampler(lambda y, level: torch.tanh(y), schedule, 50, [3], dtype=F64)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_every_step_is_reported(sampler):
    seen = []
    result = sampler(gaussian(0.3), SHORT, 10, [0], on_step=lambda n, y: seen.append((n, y)))
    assert [n for n, _ in seen] == [6, 5, 4, 3, 2, 1]
    assert seen[-1][1] is result


def test_the_state_has_the_precision_asked_for(sampler):
    single, double = (sampler(gaussian(0.3), SHORT, 200, [0], dtype=dtype) for dtype in (torch.float32, F64))
    assert (single.dtype, double.dtype) == (torch.float32, F64)
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)


def test_predictions_that_are_not_finite_or_of_another_shape_are_refused(sampler):
    def not_finite(y, level):
        return y / (1 - (level[:, None] > 0.5) * torch.tensor([[0.0], [1.0]]))

    with pytest.raises(WavegradError, match=r"not finite at refinement step \d of 6 \(items \[1\] of the batch\)"):
        sampler(not_finite, SHORT, 10, [0, 1])
    with pytest.raises(WavegradError, match=r"shape \(1, 10\), y has \(2, 10\) at refinement step 6 of 6"):
        sampler(lambda y, level: y[:1], SHORT, 10, [0, 1])
    with pytest.raises(ConfigError, match="no seeds"):
        sampler(gaussian(0.3), SHORT, 10, [])


def test_a_start_takes_the_place_of_the_noise_of_step_n(sampler):
    noise = SeededNoise([4])(6, 100)
    seeded, given = (sampler(gaussian(0.3), SHORT, 100, [4], start=start) for start in (None, noise))
    assert torch.equal(seeded, given)
    assert not torch.allclose(sampler(gaussian(0.3), SHORT, 100, [4], start=0.5 * noise), given)
    with pytest.raises(ConfigError, match=r"start has shape \(1, 99\); 1 seeds and 100 samples"):
        sampler(gaussian(0.3), SHORT, 100, [4], start=noise[:, :99])


def test_a_matched_start_has_the_variance_of_the_last_level(sampler):
    """public-6 ends at 0.964: data of standard deviation 0.1 has 0.28 there, not 1. It is a scaled start, no more."""
    schedule = named_schedule("public-6")
    bar = schedule.terminal_level**2
    matched = dataclasses.replace(sampler, data_std=0.1)
    scaled = math.sqrt(bar * 0.01 + 1 - bar) * SeededNoise([0], dtype=F64)(6, 50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # and it needs no warning
        found = matched(gaussian(0.1), schedule, 50, [0], dtype=F64)
        expected = sampler(gaussian(0.1), schedule, 50, [0], dtype=F64, start=scaled)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_a_matched_start_cures_the_terminal_level():
    """On N(0, 0.1^2), with the schedule that ends at 0.964, DDIM makes 2.8 times too much; matched, about the right
    level. 20,000 samples: five standard deviations are 0.025."""
    schedule = named_schedule("public-6")
    levels = [
        (DDIM(data_std=std)(gaussian(0.1), schedule, 20_000, [0], dtype=F64).std() / 0.1).item() for std in (1.0, 0.1)
    ]
    assert levels[0] == pytest.approx(2.77, abs=0.07)
    assert levels[1] == pytest.approx(0.78, abs=0.03)


def test_ddim_with_eta_1_is_ancestral():
    for schedule in (SHORT, named_schedule("diffwave-6")):
        a, b = (s(gaussian(0.3), schedule, 500, [3, 4], dtype=F64) for s in (Ancestral(), DDIM(eta=1.0)))
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_dpm_solver_1s_is_ddim():
    a, b = (
        s(lambda y, level: torch.tanh(3 * y), SHORT, 500, [3], dtype=F64) for s in (DPMSolver(variant="1S"), DDIM())
    )
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


def test_dpm_solver_2m_follows_algorithm_2():
    """Written with lambda, as in the paper, over steps of very different length: an exchanged ratio of lengths keeps
    the order (its errors telescope), so that test alone would not see it."""
    levels = [0.95, 0.9, 0.4, 0.35, 0.1]
    alpha, sigma = [1.0, *levels], [0.0, *(math.sqrt(1 - level**2) for level in levels)]
    lam = [math.inf, *(math.log(a / s) for a, s in zip(alpha[1:], sigma[1:], strict=True))]
    y, previous = SeededNoise([3], dtype=F64)(5, 50), torch.empty(0)

    def check(n, found):
        nonlocal y, previous
        clean = (y - sigma[n] * torch.tanh(3 * y)) / alpha[n]
        h = lam[n - 1] - lam[n]
        d = clean
        if 1 < n < 5:
            r = (lam[n] - lam[n + 1]) / h
            d = (1 + 1 / (2 * r)) * clean - 1 / (2 * r) * previous
        y, previous = sigma[n - 1] / sigma[n] * y - alpha[n - 1] * math.expm1(-h) * d, clean
        torch.testing.assert_close(found, y, rtol=1e-9, atol=1e-9)

    schedule = NoiseSchedule.from_noise_levels(levels)
    SAMPLERS["dpm++2m"](lambda y, level: torch.tanh(3 * y), schedule, 50, [3], dtype=F64, on_step=check)


def test_the_function_is_the_sampler():
    for variance in ("posterior", "beta", "analytic"):
        found = ancestral_sample(gaussian(0.3), SHORT, 100, [3], variance=variance)
        assert torch.equal(found, Ancestral(variance=variance)(gaussian(0.3), SHORT, 100, [3]))


def with_variance(v: float):
    return lambda y, level: (gaussian(0.3)(y, level), torch.full_like(y, v))


def test_learned_variance_lies_between_the_two():
    """v = 0 is the posterior variance, v = 1 is beta; between them log sigma^2 is linear in v, sample by sample."""
    learned = Ancestral(variance="learned")
    for v, variance in ((0.0, "posterior"), (1.0, "beta")):
        expected = Ancestral(variance=variance)(gaussian(0.3), SHORT, 100, [3], dtype=F64)
        found = learned(with_variance(v), SHORT, 100, [3], dtype=F64)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    schedule = NoiseSchedule((0.1, 0.8))
    v = torch.linspace(0, 1, 50, dtype=F64)[None]
    seen = []
    learned(
        lambda y, level: (torch.zeros_like(y), v), schedule, 50, [3], dtype=F64, on_step=lambda n, y: seen.append(y)
    )
    mean, z = SeededNoise([3], dtype=F64)(2, 50) / math.sqrt(0.2), SeededNoise([3], dtype=F64)(1, 50)
    tilde = 0.1 / (1 - 0.9 * 0.2) * 0.8
    torch.testing.assert_close(((seen[0] - mean) / z).square(), 0.8**v * tilde ** (1 - v), rtol=1e-6, atol=1e-9)


def test_a_learned_variance_is_no_hindrance_to_the_others(sampler):
    found = sampler(with_variance(0.3), SHORT, 50, [3])
    assert torch.equal(found, sampler(gaussian(0.3), SHORT, 50, [3]))


def test_learned_variance_needs_a_network_that_has_it():
    with pytest.raises(WavegradError, match="predicts noise alone"):
        Ancestral(variance="learned")(gaussian(0.3), SHORT, 10, [0])
    with pytest.raises(WavegradError, match=r"shape \(1, 9\), y has \(1, 10\)"):
        Ancestral(variance="learned")(lambda y, level: (y, y[:, :9]), SHORT, 10, [0])


def test_the_analytic_variance_stays_between_its_bounds():
    """A network that sees more than all noise gets the posterior variance; one that sees nothing, beta / alpha."""
    schedule, seen = NoiseSchedule((0.1, 0.8)), []
    z = SeededNoise([3], dtype=F64)(1, 50)
    for factor in (1.5, 0.0):
        start = torch.full((1, 50), 2.0, dtype=F64)

        def predict_noise(y, level, factor=factor):
            return torch.full_like(y, factor)

        Ancestral(variance="analytic")(
            predict_noise, schedule, 50, [3], dtype=F64, start=start, on_step=lambda n, y: seen.append(y)
        )
    means = [(2 - 0.8 / math.sqrt(1 - 0.18) * factor) / math.sqrt(0.2) for factor in (1.5, 0.0)]
    variances = [((y - mean) / z).square() for y, mean in zip(seen[::2], means, strict=True)]
    for found, expected in zip(variances, (0.1 / (1 - 0.18) * 0.8, 0.8 / 0.2), strict=True):
        torch.testing.assert_close(found, torch.full_like(found, expected), rtol=1e-9, atol=1e-9)


def test_langevin_steps_follow_algorithm_5():
    """One walk of two steps and two corrections, written out; the draws are those of index 1 + k (N + 1)."""
    schedule, std, r = NoiseSchedule((0.1, 0.8)), 0.3, 0.4
    noise, states = SeededNoise([3, 5], dtype=F64), []
    start = noise(2, 40)
    for n_corrections in (0, 2):
        PredictorCorrector(n_corrections=n_corrections, snr=r)(
            gaussian(std), schedule, 40, [3, 5], dtype=F64, start=start, on_step=lambda n, y: states.append(y)
        )
    y, found = states[0], states[2]
    for k in (1, 2):
        score, z = -y / (0.9 * std**2 + 0.1), noise(1 + 3 * k, 40)
        step = 2 * 0.9 * (r * z.norm(dim=1) / score.norm(dim=1))[:, None] ** 2
        y = y + step * score + (2 * step).sqrt() * z
    torch.testing.assert_close(found, y, rtol=1e-9, atol=1e-9)


def test_without_corrections_it_is_ancestral():
    none = PredictorCorrector(n_corrections=0)
    assert (none.order, PredictorCorrector().order) == (1, None)
    assert torch.equal(none(gaussian(0.3), SHORT, 50, [1]), Ancestral()(gaussian(0.3), SHORT, 50, [1]))


def test_without_a_score_nothing_is_corrected():
    found = PredictorCorrector()(lambda y, level: torch.zeros_like(y), SHORT, 50, [1])
    assert torch.equal(found, Ancestral()(lambda y, level: torch.zeros_like(y), SHORT, 50, [1]))


def test_the_network_is_told_one_level_for_all_items(sampler):
    """By the layout of the tensor, so that nothing need compare its values."""
    levels = []

    def predict_noise(y, level):
        levels.append(level)
        return gaussian(0.3)(y, level)

    sampler(predict_noise, SHORT, 20, [1, 2])
    assert {(tuple(level.shape), level.stride(0)) for level in levels} == {((2,), 0)}


@pytest.mark.gpu
def test_the_device_changes_rounding_only(sampler, monkeypatch):
    """With the noise of a CPU on both."""
    monkeypatch.setattr("wavegrad.diffusion.samplers.sampler.seeded_noise", SeededNoise)
    there, here = (sampler(gaussian(0.3), SHORT, 5000, [4, 9], device=d, dtype=F64) for d in ("cuda", "cpu"))
    torch.testing.assert_close(there.cpu(), here, rtol=1e-7, atol=1e-7)
