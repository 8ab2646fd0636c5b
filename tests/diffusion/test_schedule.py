"""Schedules: definitions, round trips, refusals."""

import inspect
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from wavegrad.diffusion import SCHEDULES, NoiseSchedule, ScheduleWarning, ancestral_sample, named_schedule
from wavegrad.errors import ConfigError

LEVELS = st.lists(st.floats(0.001, 0.999), min_size=1, max_size=30, unique=True).map(lambda x: sorted(x, reverse=True))


def test_products_and_levels_are_those_of_the_definition():
    schedule = NoiseSchedule((0.1, 0.2, 0.5))
    assert schedule.alphas.tolist() == pytest.approx([0.9, 0.8, 0.5], abs=1e-15)
    assert schedule.alpha_bars.tolist() == pytest.approx([0.9, 0.72, 0.36], abs=1e-15)
    assert schedule.noise_levels.tolist() == pytest.approx([1, 0.9**0.5, 0.72**0.5, 0.6], abs=1e-15)
    assert schedule.terminal_level == pytest.approx(0.6, abs=1e-15)
    assert schedule.noise_levels.dtype == torch.float64


@given(LEVELS)
def test_levels_to_betas_and_back(levels):
    schedule = NoiseSchedule.from_noise_levels(levels)
    assert schedule.noise_levels[1:].tolist() == pytest.approx(levels, rel=1e-12)


@given(LEVELS)
def test_json_round_trip_is_exact(levels):
    schedule = NoiseSchedule.from_noise_levels(levels, "mine", "measured")
    assert NoiseSchedule.from_dict(schedule.to_dict()) == schedule


def test_a_file_keeps_name_and_provenance(tmp_path):
    schedule = named_schedule("public-6")
    schedule.save(tmp_path / "s.json")
    assert NoiseSchedule.load(tmp_path / "s.json") == schedule
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]


@pytest.mark.parametrize(
    ("name", "n_steps", "terminal"),
    [
        ("wavegrad-training", 1000, 0.081),
        ("wavegrad-1000", 1000, 0.279),
        ("wavegrad-50", 50, 0.529),
        ("fibonacci-25", 25, 0.848),
        ("public-6", 6, 0.964),
        ("diffwave-6", 6, math.sqrt(0.9999 * 0.999 * 0.99 * 0.95 * 0.8 * 0.5)),
    ],
)
def test_the_schedules_of_the_literature_end_where_they_should(name, n_steps, terminal):
    schedule = named_schedule(name)
    assert schedule.n_steps == n_steps
    assert schedule.terminal_level == pytest.approx(terminal, abs=6e-4)
    assert schedule.provenance


def test_fibonacci_is_a_sum_of_two():
    betas = NoiseSchedule.fibonacci(25).betas
    assert all(c == pytest.approx(a + b) for a, b, c in zip(betas, betas[1:], betas[2:], strict=False))


def test_cosine_has_the_published_curve():
    """alpha_bar_n / alpha_bar_0 where no beta was cut (Improved DDPM, eq. 17)."""
    schedule = NoiseSchedule.cosine(100)

    def curve(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    for n in (1, 30, 60, 95):
        assert schedule.alpha_bars[n - 1].item() == pytest.approx(curve(n / 100) / curve(0), rel=1e-9)
    assert max(schedule.betas) == 0.999


def test_geometric_has_a_constant_ratio():
    betas = NoiseSchedule.geometric(1e-6, 1e-2, 5).betas
    assert betas == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


def test_log_snr_is_evenly_spaced_in_db():
    alpha_bars = NoiseSchedule.log_snr(6, 40.0, -20.0).alpha_bars
    assert (10 * torch.log10(alpha_bars / (1 - alpha_bars))).tolist() == pytest.approx([40, 28, 16, 4, -8, -20])
    assert NoiseSchedule.log_snr(1).n_steps == 1


def test_a_sub_schedule_keeps_the_levels():
    parent = named_schedule("wavegrad-training")
    part = parent.sub_schedule([1, 10, 500, 1000])
    assert part.noise_levels[1:].tolist() == pytest.approx(parent.noise_levels[[1, 10, 500, 1000]].tolist(), rel=1e-12)
    assert parent.strided(7).terminal_level == pytest.approx(parent.terminal_level, rel=1e-12)
    assert parent.strided(1000).betas == pytest.approx(parent.betas, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoiseSchedule(()), "at least one beta"),
        (lambda: NoiseSchedule((0.1, 0.0)), "beta_2 .* is 0"),
        (lambda: NoiseSchedule((1.0,)), "beta_1 .* is 1"),
        (lambda: NoiseSchedule((float("nan"),)), "nan"),
        (lambda: NoiseSchedule.linear(1e-4, 1.5, 10), "1.5"),
        (lambda: NoiseSchedule.linear(1e-4, 0.1, 0), "n_steps is 0"),
        (lambda: NoiseSchedule.linear(1e-4, 0.1, 100_001), "n_steps is 100001; it must lie between 1 and 100000"),
        (lambda: NoiseSchedule.geometric(0.0, 0.1, 5), "beta_1 is 0"),
        (lambda: NoiseSchedule.from_noise_levels([0.9, 0.95]), "l_2 is 0.95"),
        (lambda: NoiseSchedule.from_noise_levels([1.0]), "l_1 is 1"),
        (lambda: named_schedule("public-6").sub_schedule([3, 2]), "must rise"),
        (lambda: named_schedule("public-6").sub_schedule([1, 7]), "between 1 and 6"),
        (lambda: named_schedule("public-6").strided(7), "7 steps"),
        (lambda: named_schedule("public6"), "did you mean 'public-6'"),
        (lambda: NoiseSchedule.from_dict({"betas": ["a"]}, "x.json"), "x.json"),
        (lambda: NoiseSchedule.from_dict({"format_version": 99, "betas": [0.1]}, "x.json"), "newer"),
        (lambda: NoiseSchedule.from_dict({}, "x.json"), "x.json: a noise schedule needs at least one beta"),
        (lambda: NoiseSchedule.from_dict([0.1], "x.json"), "x.json: expected a table"),
        (lambda: NoiseSchedule.from_dict({"beta": [0.1]}, "x.json"), "key beta: .*did you mean 'betas'"),
        (lambda: NoiseSchedule.from_dict({"betas": [0.1], "noise_levels": [0.9]}, "x.json"), "x.json: .* contradict"),
        (lambda: NoiseSchedule.from_dict({"betas": [0.1, True]}, "x.json"), "True"),
        (lambda: NoiseSchedule.from_noise_levels([0.5, float("nan")]), "l_2 is nan"),
        (lambda: NoiseSchedule.cosine(10, largest_beta=1.0), "beta_10 .* is 1"),
    ],
)
def test_nonsense_is_refused_by_value(make, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_unreadable_files_are_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.json"):
        NoiseSchedule.load(tmp_path / "missing.json")
    (tmp_path / "half.json").write_text('{"betas": [0.1')
    with pytest.raises(ConfigError, match=r"half\.json: no JSON"):
        NoiseSchedule.load(tmp_path / "half.json")


def test_a_schedule_is_a_value():
    schedule = named_schedule("public-6")
    schedule.noise_levels.zero_()
    assert schedule.noise_levels[0] == 1
    assert hash(schedule) == hash(named_schedule("public-6"))
    with pytest.raises(AttributeError):
        schedule.betas = (0.1,)  # type: ignore[misc]


def test_any_sequence_of_betas_becomes_a_tuple():
    initialise = inspect.unwrap(NoiseSchedule.__init__)  # without the tests' own type checks
    for betas in ([0.1, 0.2], torch.tensor([0.1, 0.2], dtype=torch.float64)):
        schedule = object.__new__(NoiseSchedule)
        initialise(schedule, betas)
        assert schedule == NoiseSchedule((0.1, 0.2))
        assert hash(schedule) == hash(NoiseSchedule((0.1, 0.2)))


@given(st.integers(1, 60), st.data())
def test_strides_rise_and_keep_the_last_level(n_steps, data):
    part = NoiseSchedule.linear(1e-3, 0.1, n_steps).strided(n := data.draw(st.integers(1, n_steps)))
    assert part.n_steps == n
    assert part.terminal_level == pytest.approx(NoiseSchedule.linear(1e-3, 0.1, n_steps).terminal_level)


def test_the_list_of_schedules_cannot_be_changed():
    with pytest.raises(TypeError):
        SCHEDULES["public-6"] = named_schedule("diffwave-6")  # type: ignore[index]


@pytest.mark.parametrize("name", SCHEDULES)
def test_sampling_warns_exactly_where_the_start_is_wrong(name):
    """The terminal-SNR trap: pure noise in, while the network is told that a share of it is signal."""
    schedule = named_schedule(name).strided(min(6, named_schedule(name).n_steps))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ancestral_sample(lambda y, level: y, schedule, 8, [0])
    assert [w.category for w in caught] == [ScheduleWarning] * (schedule.terminal_level > 0.3)
    if caught:
        assert f"{schedule.terminal_level:.0%}" in str(caught[0].message)
