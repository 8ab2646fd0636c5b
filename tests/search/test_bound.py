"""The bound and the dynamic program against closed forms and against trying everything."""

import itertools
import math
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavegrad.diffusion import Ancestral, NoiseSchedule, choose_sampler
from wavegrad.errors import ConfigError
from wavegrad.search import (
    SearchSpace,
    best_schedules,
    evenly_spaced_levels,
    jump_bound,
    schedule_bound,
    schedule_db,
)
from wavegrad.search.bound import Reverse


def gaussian_loss(level: float, std: float) -> float:
    """E|epsilon - E[epsilon | y]|^2 of the exact predictor for y_0 ~ N(0, std^2)."""
    return level**2 * std**2 / (level**2 * std**2 + 1 - level**2)


@pytest.mark.parametrize("std", [0.3, 1.0, 2.0])
def test_the_bound_of_the_exact_gaussian_predictor_with_optimal_variances_is_the_entropy(std: float) -> None:
    """Every reverse step is the true Gaussian posterior; what is left is the start, which is not quite N(0, 1)."""
    schedule = NoiseSchedule.log_snr(7, 50.0, -40.0)
    losses = {level: gaussian_loss(level, std) for level in schedule.noise_levels.tolist()}
    entropy = 0.5 * math.log(2 * math.pi * math.e * std**2)
    last = schedule.terminal_level**2
    variance = last * std**2 + 1 - last
    mismatch = 0.5 * (variance - 1 - math.log(variance))
    assert schedule_bound(schedule, losses, std**2, "optimal") == pytest.approx(entropy + mismatch, abs=1e-9)


def test_a_jump_with_the_posteriors_variance_is_the_divergence_of_two_gaussians() -> None:
    """KL of equal variances is the squared distance of the means over twice the variance, here by simulation-free sums:
    mean of q minus mean of p = beta / (sqrt(alpha) sqrt(1 - alpha_bar_t)) (epsilon_theta - epsilon)."""
    clean, noisy, loss = 0.9, 0.4, 0.37
    alpha = (noisy / clean) ** 2
    beta, spread = 1 - alpha, 1 - noisy**2
    sigma = (1 - clean**2) / spread * beta
    assert jump_bound(clean, noisy, loss, "posterior") == pytest.approx(
        beta**2 / (alpha * spread) * loss / (2 * sigma), rel=1e-12
    )


@settings(max_examples=12)
@given(
    st.lists(st.floats(0.01, 2.0), min_size=6, max_size=6),
    st.sampled_from(("optimal", "posterior")),
    st.floats(0.1, 4),
    st.sampled_from((0.5, 13.0)),
    st.sampled_from((-10.0, 20.0)),
    st.sampled_from((-math.inf, 20.0)),
)
def test_the_dynamic_program_equals_trying_every_subset_that_obeys_the_constraints(
    losses: list[float], reverse: Reverse, power: float, gap: float, last: float, first: float
) -> None:
    """Levels at 40, 28, 16, 4, -8, -20 dB. A gap of 13 forbids neighbours, so that three of them are the most."""
    levels = evenly_spaced_levels(6, 40.0, -20.0)
    table = _Near(zip(levels, losses, strict=True))
    spaces = {n: SearchSpace(n, 40.0, -20.0, gap, last, first) for n in range(1, 4 if gap > 12 else 7)}
    found = best_schedules(levels, losses, power, spaces[max(spaces)], reverse)
    assert list(found) == list(spaces)
    for n, (schedule, cost) in found.items():
        options = [
            schedule_bound(option, table, power, reverse)
            for option in map(NoiseSchedule.from_noise_levels, itertools.combinations(levels, n))
            if spaces[n].contains(schedule_db(option))
        ]
        assert cost == pytest.approx(min(options), rel=1e-9)
        assert spaces[n].contains(schedule_db(schedule))
        assert schedule_bound(schedule, table, power, reverse) == pytest.approx(cost, rel=1e-9)


def test_the_bound_is_of_the_variance_that_is_sampled_by_default() -> None:
    schedule = NoiseSchedule.log_snr(6)
    losses = dict.fromkeys(schedule.noise_levels.tolist(), 0.3)
    default = choose_sampler(None, None, 6)
    assert isinstance(default, Ancestral)
    assert default.variance in get_args(Reverse)
    assert schedule_bound(schedule, losses, 1.0) == schedule_bound(schedule, losses, 1.0, default.variance)  # type: ignore[arg-type]


class _Near(dict[float, float]):
    """Levels come back from betas with a rounding error."""

    def __missing__(self, level: float) -> float:
        return self[min(self, key=lambda known: abs(known - level))]


def test_tables_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 steps from 2 levels"):
        best_schedules((0.9, 0.2), (0.1, 0.2), 1.0, SearchSpace(3))
    with pytest.raises(ConfigError, match="1 losses for 2 levels"):
        best_schedules((0.9, 0.2), (0.1,), 1.0, SearchSpace(1))
    with pytest.raises(ConfigError, match="no 2 of the 2 levels obey"):
        best_schedules((0.9, 0.2), (0.1, 0.2), 1.0, SearchSpace(2, smallest_first_db=30.0))
