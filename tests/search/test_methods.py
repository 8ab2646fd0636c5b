"""The space and the methods, on made scores whose best is known."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search import (
    Budget,
    InProcess,
    Journal,
    Method,
    Objective,
    Outcome,
    SearchOptions,
    SearchSpace,
    Task,
    coordinate_method,
    grid_method,
    optuna_method,
    paper_grid,
    schedule_db,
    search,
)
from wavegrad.search.search import Found, hopeless
from wavegrad.search.space import db_of_level, level_of_db

TARGET = (33.0, 18.0, 2.0, -17.0)
SPACE = SearchSpace(4, 50.0, -30.0, 1.0, smallest_first_db=20.0)


class Bowl:
    """A setup whose score is minus the mean square distance to TARGET, plus an offset and a ripple of each clip."""

    def __init__(self, ripple: float = 0.0, offsets: tuple[float, ...] = (0.5, -0.5, 1.5, 0.0)):
        self.ripple = ripple
        self.offsets = offsets
        self.asked: list[Task] = []

    def build(self) -> Callable[[Task], Outcome]:
        def evaluate(task: Task) -> Outcome:
            self.asked.append(task)
            return Outcome(tuple(self.score(betas, task.clip) for betas in task.betas), len(task.betas), 0)

        return evaluate

    def score(self, betas: Sequence[float], clip: int) -> float:
        db = np.array(schedule_db(NoiseSchedule(tuple(betas))))
        ripple = self.ripple * float(np.sin(7 * db.sum() + 3 * clip))
        return -float(np.square((db - TARGET) / 10).mean()) + self.offsets[clip] + ripple

    def identity(self) -> str:
        return "bowl"


def run(method: Method, trials: int | None = None, first_clips: int = 9, bowl: Bowl | None = None) -> Found:
    bowl = bowl or Bowl()
    options = SearchOptions(4, batch=4, first_clips=first_clips)
    return search(method, InProcess(bowl), Journal(None, "bowl"), options, Budget(trials))


@settings(max_examples=40)
@given(st.integers(1, 12), st.data())
def test_whatever_is_decoded_obeys_the_constraints(n: int, data: st.DataObject) -> None:
    first = data.draw(st.sampled_from((-np.inf, -25.0, 30.0, 55.0)))
    space = SearchSpace(n, 55.0, -25.0, data.draw(st.floats(0.01, 5.0)), data.draw(st.floats(-25.0, 55.0)), first)
    db = space.decode(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    assert space.contains(db)
    assert space.schedule(db).noise_levels.diff().max() < 0
    again = space.decode(space.encode(db))
    assert again == pytest.approx(db, abs=1e-9)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param((56.0, 0.0, -20.0), id="too clean"),
        pytest.param((19.0, 0.0, -20.0), id="level 1 too noisy"),
        pytest.param((30.0, 0.0, -26.0), id="too noisy"),
        pytest.param((30.0, 0.0, -9.0), id="ends too clean"),
        pytest.param((30.0, 29.5, -20.0), id="too close"),
        pytest.param((22.0, 30.0, -20.0), id="rising"),
        pytest.param((30.0, 0.0), id="too few"),
    ],
)
def test_each_constraint_is_a_constraint(wrong: tuple[float, ...]) -> None:
    space = SearchSpace(3, 55.0, -25.0, 1.0, -10.0, 20.0)
    assert space.contains((30.0, 0.0, -20.0))
    assert not space.contains(wrong)


def test_one_level_is_the_last_one() -> None:
    space = SearchSpace(1, smallest_first_db=20.0)
    assert space.contains(space.decode((1.0,)))
    assert space.range_of(1, (-10.0,)) == (-30.0, -6.0)


def test_levels_and_decibels_undo_each_other() -> None:
    assert [db_of_level(level_of_db(db)) for db in (-30.0, 0.0, 60.0)] == pytest.approx([-30, 0, 60], abs=1e-6)
    assert level_of_db(0.0) ** 2 == pytest.approx(0.5)


@pytest.mark.parametrize(
    "bad",
    [
        {"n_steps": 0},
        {"n_steps": 200, "gap_db": 1.0},
        {"n_steps": 2, "gap_db": 0.0},
        {"n_steps": 2, "smallest_first_db": 70.0},
        {"n_steps": 2, "largest_terminal_db": -40.0},
    ],
)
def test_spaces_without_schedules_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        SearchSpace(**bad)  # type: ignore[arg-type]


def test_the_grid_is_exactly_the_papers() -> None:
    small = list(paper_grid(exponents=(-2, -1)))
    assert small == [(float(f"{a}e-2"), float(f"{b}e-1")) for a, b in itertools.product(range(1, 10), repeat=2)]
    assert len(list(itertools.islice(paper_grid(), 1000))) == 1000
    subset = list(paper_grid(200, seed=3))
    assert subset == list(paper_grid(200, seed=3)) != list(paper_grid(200, seed=4))
    assert len(set(subset)) == 200
    for betas in subset:
        for beta, exponent in zip(betas, range(-6, 0), strict=True):
            assert beta in {float(f"{digit}e{exponent}") for digit in range(1, 10)}
    with pytest.raises(ConfigError, match="6 steps, not 5"):
        grid_method(5, 8)


def test_coordinate_descent_never_gets_worse_and_arrives() -> None:
    start = SPACE.decode((0.9, 0.8, 0.4, 0.2))
    found = run(coordinate_method(SPACE, start, smallest_db=0.25))
    best = list(itertools.accumulate((t.score for t in found.trials), max))
    assert best[-1] >= best[0]
    assert found.best.score == best[-1]
    assert schedule_db(found.best.schedule) == pytest.approx(TARGET, abs=0.5)
    assert all(SPACE.contains(schedule_db(trial.schedule)) for trial in found.trials)


@pytest.mark.parametrize("kind", ["tpe", "cma-es"])
def test_optuna_is_seeded_beats_its_start_and_obeys_the_constraints(kind: str) -> None:
    pytest.importorskip("optuna")
    start = SPACE.decode((0.9, 0.8, 0.4, 0.2))
    found = [run(optuna_method(kind, SPACE, start, 4, seed), 48) for seed in (1, 1, 2)]  # type: ignore[arg-type]
    assert found[0].trials == found[1].trials != found[2].trials
    assert schedule_db(found[0].trials[0].schedule) == pytest.approx(start, abs=1e-6)
    assert found[0].best.score > found[0].trials[0].score
    assert all(SPACE.contains(schedule_db(trial.schedule)) for trial in found[0].trials)


def test_early_stopping_saves_tasks_and_keeps_the_best() -> None:
    """Clips differ far more than the ripple, so that the margin covers it."""
    start = SPACE.decode((0.9, 0.8, 0.4, 0.2))
    full, early = Bowl(0.05), Bowl(0.05)
    whole = run(coordinate_method(SPACE, start), bowl=full)
    part = run(coordinate_method(SPACE, start), first_clips=2, bowl=early)
    assert part.best == whole.best
    bad = SPACE.schedule((50.0, 49.0, 48.0, -6.0))

    def one_bad():  # type: ignore[no-untyped-def]
        yield [SPACE.schedule(TARGET)]
        yield [bad, SPACE.schedule(start)]

    trials = run(one_bad(), first_clips=2).trials
    assert [trial.stopped for trial in trials] == [False, True, True]
    assert len(trials[1].scores) == 2


def test_a_dropped_candidate_is_never_the_best() -> None:
    """The first clip is the easiest by far: there, the dropped one has more than the best has in the mean."""

    def good_then_bad():  # type: ignore[no-untyped-def]
        yield [SPACE.schedule(TARGET)]
        yield [SPACE.schedule((50.0, 45.0, 30.0, -7.0))]

    found = run(good_then_bad(), first_clips=1, bowl=Bowl(offsets=(8.0, 0.0, 0.0, 0.0)))
    assert found.trials[1].stopped
    assert found.trials[1].score > found.trials[0].score
    assert found.best is found.trials[0]


def test_hopeless_is_worse_on_every_first_clip_by_more_than_the_spread() -> None:
    best = (1.0, 3.0)  # standard deviation 1
    assert hopeless((-0.5, 1.5), best)
    assert not hopeless((-0.5, 2.5), best)
    assert not hopeless((0.5, 2.5), best)


def test_budgets() -> None:
    start = SPACE.decode((0.9, 0.8, 0.4, 0.2))
    assert len(run(coordinate_method(SPACE, start), 7).trials) == 7
    options = SearchOptions(4)
    found = search(
        coordinate_method(SPACE, start), InProcess(Bowl()), Journal(None, "x"), options, Budget(minutes=1e-9)
    )
    assert len(found.trials) == 1
    with pytest.raises(ConfigError, match="trials is 0"):
        Budget(trials=0)


def test_objectives() -> None:
    assert Objective.parse("log_mel_db").score({"log_mel_db": 3.0}) == -3.0
    mixed = Objective.parse("pesq_wb - 0.1*log_mel_db")
    assert mixed.score({"pesq_wb": 2.0, "log_mel_db": 5.0}) == pytest.approx(1.5)
    assert Objective.parse("-.5 * silence_db + stoi").score({"silence_db": -4.0, "stoi": 0.9}) == pytest.approx(-1.1)
    assert not Objective.parse("bound").needs_synthesis
    for wrong in ("", "pesq_wb log_mel_db", "3*", "bound + stoi", "pesk_wb"):
        with pytest.raises(ConfigError):
            Objective.parse(wrong)
