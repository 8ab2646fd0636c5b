"""The pictures say what the trials say."""

import math
import struct
from pathlib import Path
from typing import Any

import pytest

from wavegrad.diffusion import SCHEDULES
from wavegrad.search import Judged, Provenance, Searched, SearchSpace, draw_terminal_levels, result_table
from wavegrad.search.report import candidates, pareto, sensitivity, write_report

Figure = pytest.importorskip("matplotlib.figure", reason="pip install 'wavegrad-vocoder[search]'").Figure
SPACE = SearchSpace(2)
BEST = SPACE.schedule((10.0, -20.0))
CLIPS, OTHERS = ("a.flac", "b.flac"), ("c.flac", "d.flac")
HOW = Provenance("coordinate", "pesq_wb", "any", "float32", 0, 4, None, 1.5, 40, 10, "0" * 64, CLIPS, OTHERS, 2.75)


@pytest.fixture
def searched() -> Searched:
    """Four trials: the start, one level moved twice (the second time dropped after a clip), both levels moved."""
    tried = (
        Judged(SPACE.schedule((4.0, -20.0)), (1.0, 2.0)),
        Judged(BEST, (2.0, 3.0)),
        Judged(SPACE.schedule((13.0, -20.0)), (1.75,)),
        Judged(SPACE.schedule((13.0, -23.0)), (1.0, 1.0)),
    )
    baselines = [Judged(SPACE.schedule((30.0, -20.0), "even"), (1.0, 1.5))]
    return Searched(result_table(tried[1], baselines, HOW), tried, (baselines[0].schedule,))


def lines(axes: Any) -> list[tuple[list[float], list[float]]]:
    return [tuple([round(float(v), 6) for v in data] for data in line.get_data()) for line in axes.get_lines()]  # type: ignore[misc]


def test_sensitivity_compares_on_the_clips_that_a_trial_was_tried_on(searched: Searched) -> None:
    axes = Figure().subplots()
    sensitivity(axes, [searched])
    assert lines(axes) == [([-6.0, 0.0, 3.0], [-1.0, 0.0, -0.25])]


def test_the_best_so_far_leaves_dropped_trials_out(searched: Searched) -> None:
    axes = Figure().subplots()
    candidates(axes, [searched])
    best, full, dropped = lines(axes)
    assert best == ([1.0, 2.0, 4.0], [1.5, 2.5, 2.5])
    assert full == ([1.0, 2.0, 4.0], [1.5, 2.5, 1.0])
    assert dropped == ([3.0], [1.75])


def test_quality_against_steps(searched: Searched) -> None:
    axes = Figure().subplots()
    pareto(axes, [searched])
    assert [bars.get_label() for bars in axes.containers] == ["found", "even"]
    assert [float(bars.lines[0].get_ydata()[0]) for bars in axes.containers] == [2.5, 1.25]
    assert searched.search["baselines"][0]["found_is_better_by"]["gain"] == pytest.approx(1.25)


def test_what_diverged_is_never_better_and_always_worse(searched: Searched) -> None:
    fine, diverged = searched.tried[1], Judged(BEST, (1.0, -math.inf))
    assert Searched(result_table(fine, [diverged], HOW), (), ()).is_better
    assert not Searched(result_table(diverged, [fine], HOW), (), ()).is_better
    assert not Searched(result_table(diverged, [diverged], HOW), (), ()).is_better


def test_the_page_has_the_pictures_and_the_figures(searched: Searched, tmp_path: Path) -> None:
    page = write_report(tmp_path, [searched]).read_text()
    assert page.count("data:image/png;base64,") == 4
    found, known = "<td>2<td>found by coordinate<td>2.500<td>2.000 to 3.000", "<td>2<td>even<td>1.250"
    for expected in (found, known, "2 clips that the search has not heard"):
        assert expected in page


def test_the_picture_of_terminal_levels(tmp_path: Path) -> None:
    path = tmp_path / "terminal.png"
    draw_terminal_levels(path, [SCHEDULES["public-6"], BEST])
    data = path.read_bytes()
    assert struct.unpack(">I", data[16:20]) == (900,)
    assert len(data) < 100_000
