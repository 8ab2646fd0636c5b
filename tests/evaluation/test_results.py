"""Evaluations: their statistics, and their place on disk."""

import json
import math

import numpy as np
import pytest

from wavegrad.errors import ConfigError
from wavegrad.evaluation import Evaluation, Failure, Interval, System, bootstrap_interval, markdown_table, paired_table
from wavegrad.evaluation.bootstrap import mean_interval
from wavegrad.evaluation.results import audio_path, slug
from wavegrad.evaluation.table import verdict

GOOD, BAD = System("good, 6 steps", "good", 6), System("bad", "bad")


def evaluation(**values: dict[str, dict[str, float]]) -> Evaluation:
    clips = tuple(sorted({clip for of_system in values.values() for clip in of_system}))
    return Evaluation(
        24000,
        (GOOD, BAD),
        clips,
        ("pesq_wb", "rtf"),
        {GOOD.name: values["good"], BAD.name: values["bad"]},
        remarks=("a, b",),
        failures=(Failure("bad", "x/2", 'said "no",\nthen stopped'),),
        command="wavegrad evaluate",
    )


EXAMPLE = evaluation(
    good={"1": {"pesq_wb": 3.0, "rtf": 0.1 + 0.2}, "x/2": {"pesq_wb": 2.0}, "x/3": {"pesq_wb": 1.5}},
    bad={"1": {"pesq_wb": 2.5}, "x/3": {"pesq_wb": 1.0, "rtf": 1e-17}},
)


def test_what_is_saved_is_loaded(tmp_path):
    """To the last bit, with commas, quotes and line breaks, and with what is missing."""
    EXAMPLE.save(tmp_path / "deep" / "report")
    assert Evaluation.load(tmp_path / "deep" / "report") == EXAMPLE
    assert {path.name for path in (tmp_path / "deep" / "report").iterdir()} == {"metrics.csv", "summary.json"}


def test_the_csv_has_a_line_for_each_clip_and_system(tmp_path):
    EXAMPLE.save(tmp_path)
    lines = (tmp_path / "metrics.csv").read_text().splitlines()
    assert lines[0] == "clip,system,pesq_wb,rtf"
    assert lines[1] == '1,"good, 6 steps",3.0,0.30000000000000004'
    assert lines[3:5] == ['x/2,"good, 6 steps",2.0,', "x/2,bad,,"]
    assert len(lines) == 1 + 3 * 2


def test_other_formats_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="no evaluation can be read"):
        Evaluation.load(tmp_path)
    EXAMPLE.save(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "format_version": 2}))
    with pytest.raises(ConfigError, match="format 2; this version of wavegrad reads 1"):
        Evaluation.load(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps({**summary, "more": 1}))
    with pytest.raises(ConfigError, match="more"):
        Evaluation.load(tmp_path)
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "metrics.csv").write_text("clip,system,pesq_wb,rtf\n1,bad,x,\n")
    with pytest.raises(ConfigError, match=r"metrics\.csv: is damaged"):
        Evaluation.load(tmp_path)


def test_a_mean_is_over_the_clips_of_the_system():
    assert EXAMPLE.interval("good, 6 steps", "pesq_wb").mean == pytest.approx(6.5 / 3)
    assert EXAMPLE.interval("bad", "pesq_wb").n == 2
    assert EXAMPLE.interval("nobody", "pesq_wb").n == 0
    assert math.isnan(EXAMPLE.interval("nobody", "pesq_wb").mean)


def test_a_difference_is_over_the_clips_that_both_have():
    """Clips differ by 1.5, systems by 0.5 on each: that is certain, though the intervals of the means meet."""
    difference = EXAMPLE.difference("good, 6 steps", "bad", "pesq_wb")
    assert difference == Interval(0.5, 0.5, 0.5, 2)
    good, bad = (EXAMPLE.interval(name, "pesq_wb") for name in ("good, 6 steps", "bad"))
    assert good.low < bad.high
    assert difference.excludes_zero


def test_the_bootstrap_interval_covers_the_mean():
    """Means of 40 standard normal values lie inside their 95 % interval in 85 to 99 % of 200 trials; a correct 93.5 %
    leaves that range with a probability below 1e-5."""
    rng = np.random.default_rng(0)
    trials = [bootstrap_interval(rng.standard_normal(40).tolist(), n_resamples=500) for _ in range(200)]
    assert 0.85 < np.mean([low < 0 < high for low, high in trials]) < 0.99


def test_the_width_of_the_interval_is_that_of_the_normal_one():
    """1.96 standard errors to both sides, to 5 %, for 400 values."""
    values = np.random.default_rng(1).standard_normal(400)
    interval = mean_interval(values.tolist())
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)
    assert interval.mean == pytest.approx(values.mean())


def test_one_clip_settles_nothing():
    assert mean_interval([2.0, math.nan]) == Interval(2.0, 2.0, 2.0, 1)
    assert not mean_interval([2.0]).excludes_zero


def test_tables():
    lines = markdown_table(EXAMPLE).splitlines()
    assert lines[0] == "| system | n | PESQ-WB | real-time factor |"
    assert lines[2] == "| good, 6 steps | 3 | 2.167 (1.500 to 3.000) | 0.300 (0.300 to 0.300, n = 1) |"
    assert lines[3] == "| bad | 2 | 1.750 (1.000 to 2.500) | 0.000 (0.000 to 0.000, n = 1) |"
    assert paired_table(EXAMPLE, "good, 6 steps").splitlines()[2:] == [
        "| bad | 2 | -0.500 (-0.500 to -0.500) worse | - |"
    ]
    assert paired_table(EXAMPLE, "bad").splitlines()[2].endswith("+0.500 (+0.500 to +0.500) better | - |")


def test_many_metrics_are_rows():
    keys = ("log_mel_db", "mrstft", "lsd_db", "mcd_db", "pesq_wb", "stoi", "estoi")
    wide = Evaluation(24000, (GOOD, BAD), ("1",), keys, {"bad": {"1": {"stoi": 0.5}}})
    lines = markdown_table(wide).splitlines()
    assert lines[0] == "| system | good, 6 steps | bad |"
    assert lines[2] == "| n | 0 | 1 |"
    assert "| STOI | - | 0.500 (0.500 to 0.500) |" in lines
    assert len({line.count("|") for line in lines}) == 1


@pytest.mark.parametrize(
    ("low", "better", "word"),
    [(0.1, "higher", "better"), (0.1, "lower", "worse"), (0.1, "zero", ""), (-0.1, "higher", "")],
)
def test_a_verdict_needs_an_interval_beside_zero(low, better, word):
    assert verdict(Interval(0.2, low, 0.3, 9), better) == word


def test_slugs(tmp_path):
    assert slug("Small-24k, 6 Steps") == "small-24k-6-steps"
    assert slug("../a/b") == "a-b"
    assert slug("??") == "-"
    assert audio_path(tmp_path, "x/2", BAD) == tmp_path / "audio" / "bad" / "x" / "2.flac"
    assert audio_path(tmp_path, "x/2") == tmp_path / "audio" / "reference" / "x" / "2.flac"
