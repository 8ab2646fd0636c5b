"""`wavegrad evaluate`: rows that can be compared."""

import json
import shutil
import sys

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import SPEECH


@pytest.fixture
def clips(tmp_path):
    """The same second of speech under the same name in two folders."""
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    for folder in "ab":
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "1.wav", samples[24000:48000], rate)
    return tmp_path


def fake_figures(monkeypatch, failing=None):
    """Figures at once; the clip-th call of a metric fails."""
    calls = []

    def figures(reference, generated, rate):
        from wavegrad.errors import AudioError

        calls.append(len(reference))
        if len(calls) == failing:
            raise AudioError("PESQ: No utterances detected")
        return {"log_mel_db": 1.0, "pesq_wb": 2.0, "stoi": 0.5, "silence_db": float("nan")}

    monkeypatch.setattr("wavegrad.evaluation.evaluate_clip", figures)
    monkeypatch.setattr("wavegrad.evaluation.griffin_lim", lambda mel, config: mel.new_zeros(mel.shape[1] * 300))
    return calls


def test_equal_names_in_two_folders_are_two_clips(run, model, clips, monkeypatch):
    """They were refused, as if both were to be written to one place."""
    fake_figures(monkeypatch)
    result = run("evaluate", clips / "a", clips / "b", "--model", model, "--steps", "2")
    assert result.code == 0, result.err
    assert "| 2 steps | 2 |" in result.out


@pytest.mark.parametrize("failing", [1, 2])
def test_a_clip_that_a_metric_cannot_judge_is_in_no_row(run, model, clips, monkeypatch, failing):
    """It counted for the systems before the one that failed: their means were over other clips."""
    fake_figures(monkeypatch, failing)
    out = clips / "t.json"
    result = run("evaluate", clips / "a", clips / "b", "--model", model, "--steps", "2", "--out", out)
    assert result.code == 2
    assert f"{clips / 'a' / '1.wav'}: PESQ: No utterances detected" in result.err
    assert "PESQ:" not in result.out
    table = json.loads(out.read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert [len(rows) for rows in table.values()] == [1, 1]
    assert table["2 steps"][0]["silence_db"] is None


def test_a_limit_takes_clips_from_the_whole_range(run, model, tmp_path, monkeypatch):
    """3 of 5 were the first three; 1, 2 and 4 are a third of the range apart."""
    for i in range(5):
        soundfile.write(tmp_path / f"{i}.wav", np.full(300 + i, 0.1, np.float32), 24000)
    lengths = fake_figures(monkeypatch)
    assert run("evaluate", tmp_path, "--model", model, "--steps", "2", "--limit", 3).code == 0
    assert sorted(set(lengths)) == [300, 301, 303]
    lengths.clear()
    assert run("evaluate", tmp_path, "--model", model, "--steps", "2", "--limit", 9).code == 0
    assert len(set(lengths)) == 5


def test_what_would_fail_at_the_end_fails_at_the_start(run, clips, monkeypatch):
    """Before a model is looked for, let alone run."""
    result = run("evaluate", clips / "a", "--model", "none", "--out", clips / "no" / "t.json")
    assert (result.code, "there is no folder" in result.err) == (2, True)
    monkeypatch.setitem(sys.modules, "pesq", None)
    result = run("evaluate", clips / "a", "--model", "none")
    assert (result.code, "pip install 'wavegrad-vocoder[eval]'" in result.err) == (2, True)
    shutil.rmtree(clips / "a")
    (clips / "a").mkdir()
    monkeypatch.undo()
    assert "no input found" in run("evaluate", clips / "a", "--model", "none").err
