"""Evaluations: pairs, rates, failures, several processes, and going on after a stop."""

import json
import math
import os
import shutil
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import soundfile
import soxr
import torch

from tests.evaluation.conftest import half, noisy
from wavegrad.audio import MelConfig
from wavegrad.errors import ConfigError, WavegradError
from wavegrad.evaluation import (
    Evaluation,
    EvaluationOptions,
    Failure,
    Folder,
    Synthesizer,
    System,
    evaluate,
    find_metrics,
)
from wavegrad.evaluation.blanks import blanks
from wavegrad.evaluation.measure import measure
from wavegrad.evaluation.pairing import find_clips

COARSE = MelConfig(24000, n_fft=512, win_length=512, hop_length=128, n_mels=20, f_min=0.0, f_max=12000.0)
"""Griffin-Lim is quick with it."""
OPTIONS = EvaluationOptions(metrics=("log_mel_db", "lsd_db"), baseline=COARSE)
HALF = Synthesizer(System("half", "half"), 24000, half, "half")
NOISY = Synthesizer(System("noisy", "noisy"), 24000, noisy, "noisy")


def without_times(evaluation: Evaluation) -> dict:
    return {
        system: {clip: {k: v for k, v in figures.items() if k != "rtf"} for clip, figures in of_system.items()}
        for system, of_system in evaluation.values.items()
    }


def folder_of(recordings: Path, name: str, change) -> Path:
    """The recordings, changed, under their names."""
    for path in sorted(recordings.rglob("*.wav")):
        samples, rate = soundfile.read(path, dtype="float32")
        target = recordings.parent / name / path.relative_to(recordings)
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, *change(samples, rate))
    return recordings.parent / name


def test_the_figures_are_those_of_the_metrics(recordings, tmp_path, no_page):
    result = evaluate(recordings, [HALF], tmp_path / "report", OPTIONS)
    assert result.clips == ("1", "2", "deep/3")
    assert [s.name for s in result.systems] == ["half", "Griffin-Lim"]
    assert result.metrics == ("log_mel_db", "lsd_db", "rtf")
    assert result.failures == ()
    reference = torch.from_numpy(soundfile.read(recordings / "deep" / "3.wav", dtype="float32")[0])
    expected, _ = measure(reference, 0.5 * reference, 24000, find_metrics(OPTIONS.metrics))
    figures = dict(result.values["half"]["deep/3"])
    assert figures.pop("rtf") > 0
    assert figures == expected
    assert Evaluation.load(tmp_path / "report") == result
    assert no_page == [tmp_path / "report"]
    kept, rate = soundfile.read(tmp_path / "report" / "audio" / "half" / "deep" / "3.flac", dtype="float32")
    assert rate == 24000
    torch.testing.assert_close(torch.from_numpy(kept), 0.5 * reference, atol=1 / 32768, rtol=0)


def test_a_folder_is_measured_as_the_system_that_filled_it(recordings, tmp_path, no_page):
    """With float files nothing is lost on the way; there is no real-time factor."""
    folder = folder_of(recordings, "made", lambda x, rate: (noisy(torch.from_numpy(x)).numpy(), rate, "FLOAT"))
    result = evaluate(recordings, [NOISY, Folder(System("made", "made"), folder)], tmp_path / "report", OPTIONS)
    values = without_times(result)
    assert values["made"] == values["noisy"]
    assert all("rtf" not in figures for figures in result.values["made"].values())


def test_all_meet_at_the_lowest_rate(recordings, tmp_path, no_page):
    folder = folder_of(recordings, "low", lambda x, rate: (soxr.resample(x, rate, 16000), 16000))
    high = Synthesizer(System("high", "high"), 48000, half)
    result = evaluate(recordings, [high, Folder(System("low", "low"), folder)], tmp_path / "report", OPTIONS)
    assert result.sample_rate == 16000
    assert "reference: 24000 Hz, resampled to 16000 Hz, where all are compared" in result.remarks
    assert "high: 48000 Hz, resampled to 16000 Hz, where all are compared" in result.remarks
    assert not any(remark.startswith("low:") for remark in result.remarks)
    assert all(soundfile.info(p).samplerate == 16000 for p in (tmp_path / "report" / "audio").rglob("*.flac"))
    assert result.interval("low", "log_mel_db").mean < 1
    assert 3 < result.interval("high", "log_mel_db").mean < 6.1  # 6 dB where nothing is floored


def test_names_match_by_path_and_else_by_stem(recordings, tmp_path, no_page):
    folder = folder_of(recordings, "flat", lambda x, rate: (x, rate))
    (folder / "deep" / "3.wav").rename(folder / "3.wav")
    shutil.copy(folder / "3.wav", folder / "4.wav")
    result = evaluate(recordings, [Folder(System("flat", "flat"), folder)], tmp_path / "report", OPTIONS)
    assert result.failures == ()
    assert result.values["flat"]["deep/3"]["log_mel_db"] == 0
    assert f"flat: 1 file in {folder} matches no recording" in result.remarks


def test_a_name_that_is_not_unique_matches_nothing(recordings):
    """Two files of a name for one recording, or one file for two recordings: nobody can say which."""
    folder = recordings.parent / "made"
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        shutil.copy(recordings / "deep" / "3.wav", folder / part / "3.wav")
    (recordings / "other").mkdir()
    for name in ("deep/4", "other/4"):
        shutil.copy(recordings / "1.wav", recordings / f"{name}.wav")
    shutil.copy(recordings / "1.wav", folder / "4.wav")
    clips, remarks = find_clips(recordings, [Folder(System("made", "made"), folder)])
    assert [clip.generated for clip in clips] == [{}] * 5
    assert remarks == [f"made: 3 files in {folder} match no recording"]


def test_two_files_of_one_name_are_refused(recordings, tmp_path):
    shutil.copy(recordings / "1.wav", recordings / "1.flac")
    with pytest.raises(ConfigError, match=r"1\.flac and .*1\.wav have one name"):
        evaluate(recordings, [HALF], tmp_path / "report", OPTIONS)


def test_bad_pairs_are_named_and_do_not_stop_the_rest(recordings, tmp_path, no_page):
    folder = folder_of(recordings, "made", lambda x, rate: (x, rate))
    samples, rate = soundfile.read(folder / "1.wav", dtype="float32")
    soundfile.write(folder / "1.wav", samples[:-1300], rate)  # 54 ms
    (folder / "deep" / "3.wav").unlink()
    (recordings / "2.wav").write_bytes(b"no audio")

    def dies(waveform):
        raise ZeroDivisionError("of mine")

    def diverges(waveform):
        return waveform / 0

    systems = [
        Folder(System("made", "made"), folder),
        Synthesizer(System("dies", "dies"), 24000, dies),
        Synthesizer(System("diverges", "diverges"), 24000, diverges),
    ]
    result = evaluate(recordings, systems, tmp_path / "report", OPTIONS)
    said = {(f.system, f.clip): f.message for f in result.failures}
    assert set(said) == {
        ("reference", "2"),
        ("made", "1"), ("made", "deep/3"), ("dies", "1"), ("dies", "deep/3"), ("diverges", "1"), ("diverges", "deep/3"),
    }  # fmt: skip
    assert said["made", "1"] == "is 0.054 s shorter than the recording; up to 0.05 s are cut off (--tolerance-ms)"
    assert said["made", "deep/3"] == f"there is no deep/3 in {folder}"
    assert said["dies", "1"] == "ZeroDivisionError: of mine"
    assert "not finite" in said["diverges", "1"]
    assert "cannot be read as audio" in said["reference", "2"]
    assert result.interval("Griffin-Lim", "log_mel_db").n == 2
    again = evaluate(
        recordings, systems[:1], tmp_path / "again", replace(OPTIONS, tolerance_ms=55.0)
    )  # of the same length then
    assert again.values["made"]["1"]["log_mel_db"] == 0


def test_a_metric_that_fails_leaves_the_others(recordings):
    """A silent clip: nothing can be said, and that is said by each metric; 0.1 s are too short for one of the two."""
    mel, pesq = find_metrics(("log_mel_db", "pesq_wb"))
    clip = torch.rand(4800, generator=torch.Generator().manual_seed(0)) - 0.5
    values, complaints = measure(clip, 0.5 * clip, 24000, [pesq, mel])
    assert set(values) == {"log_mel_db"}
    assert len(complaints) == 1
    assert complaints[0].startswith("PESQ")
    broken = replace(mel, compute=lambda a, b, rate: [][0])
    assert measure(clip, clip, 24000, [broken, mel])[1] == ["log_mel_db: IndexError: list index out of range"]
    nothing, endless = (replace(mel, compute=lambda a, b, rate, x=x: x) for x in (math.nan, math.inf))
    assert measure(clip, clip, 24000, [nothing]) == ({}, [])
    assert measure(clip, clip, 24000, [endless]) == ({}, ["log-mel distance is inf"])


def test_clips_without_a_figure_are_counted_and_are_no_failures(recordings, tmp_path, no_page):
    """Hiss has no pitch: no figure, one line that says so, and the other metrics as ever."""
    hiss = 0.05 * torch.randn(9600, generator=torch.Generator().manual_seed(0)).numpy()
    soundfile.write(recordings / "2.wav", hiss, 24000)
    options = replace(OPTIONS, metrics=("log_mel_db", "f0_rmse_cents"))
    result = evaluate(recordings, [HALF], tmp_path / "report", options)
    assert result.failures == ()
    assert (result.interval("half", "f0_rmse_cents").n, result.interval("half", "log_mel_db").n) == (2, 3)
    assert result.value("half", "2", "f0_rmse_cents") is None
    assert "F0 RMSE: nothing to measure in 1 of 3 clips of half: 2" in result.remarks


def test_clips_without_a_figure_are_told_by_system_and_long_lists_are_cut():
    """Where something failed the failure says it already."""
    clips = [str(i) for i in range(8)]
    some, none, all_ = {"silence_db": 1.0, "log_mel_db": 1.0}, {"log_mel_db": 1.0}, System("all", "all")
    values = {"all": dict.fromkeys(clips, some), "few": {c: some if c == "7" else none for c in clips}}
    failures = (Failure("few", "6", "silence_db: bad"),)
    found = Evaluation(24000, (all_, System("few", "few")), tuple(clips), (), values, failures=failures)
    assert list(blanks(found, ("log_mel_db", "silence_db"))) == [
        "silence: nothing to measure in 6 of 8 clips of few: 0, 1, 2, 3, 4 and 1 more"
    ]


def test_a_missing_package_is_said_with_its_remedy(recordings, tmp_path, monkeypatch, no_page):
    monkeypatch.setitem(sys.modules, "pesq", None)
    options = replace(OPTIONS, metrics=("pesq_wb", "log_mel_db"))
    result = evaluate(recordings, [HALF], tmp_path / "report", options)
    assert result.metrics == ("log_mel_db", "rtf")
    assert any(r.startswith("PESQ-WB skipped, for want of pesq: pip install") for r in result.remarks)
    with pytest.raises(ConfigError, match="no metric is installed; pip install"):
        evaluate(recordings, [HALF], tmp_path / "other", EvaluationOptions(metrics=("pesq_wb",)))


def test_two_processes_find_what_one_finds(recordings, tmp_path, no_page, workers_at_once):
    one = evaluate(recordings, [HALF, NOISY], tmp_path / "one", OPTIONS)
    calls = []
    two = evaluate(
        recordings, [HALF, NOISY], tmp_path / "two", replace(OPTIONS, workers=2), lambda *now: calls.append(now)
    )
    assert without_times(one) == without_times(two)
    assert one.clips == two.clips
    assert [now[:2] for now in calls] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for path in sorted((tmp_path / "one" / "audio").rglob("*.flac")):
        assert path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_system_that_cannot_be_sent_is_refused(recordings, tmp_path):
    unsendable = Synthesizer(System("a", "a"), 24000, lambda waveform: waveform)
    with pytest.raises(WavegradError, match="cannot be sent to worker processes"):
        evaluate(recordings, [unsendable], tmp_path / "report", replace(OPTIONS, workers=2))


def _kill(waveform):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_named(recordings, tmp_path, workers_at_once):
    killer = Synthesizer(System("a", "a"), 24000, _kill)
    with pytest.raises(WavegradError, match=r"code -9 at .*\.wav; the same command goes on"):
        evaluate(recordings, [killer], tmp_path / "report", replace(OPTIONS, workers=2))


def _slow_to_stop(path: Path, waveform: torch.Tensor) -> torch.Tensor:
    """Kills the process at the second clip, while `path` is there."""
    if path.exists() and path.read_text() == "1":
        path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    if path.exists():
        path.write_text("1")
    return half(waveform)


def _evaluate_until_killed(recordings: Path, report: Path, flag: Path) -> None:
    evaluate(recordings, [replace(HALF, synthesize=partial(_slow_to_stop, flag))], report, OPTIONS)


def test_a_killed_evaluation_goes_on_to_the_same_result(recordings, tmp_path, no_page, workers_at_once):
    flag = tmp_path / "flag"
    flag.write_text("0")
    report = tmp_path / "report"
    process = workers_at_once.Process(target=_evaluate_until_killed, args=(recordings, report, flag))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert [p.name for p in (report / "clips").rglob("*.json")] == ["1.json"]
    assert not (report / "summary.json").exists()

    calls = []
    resumed = evaluate(recordings, [HALF], report, OPTIONS, lambda *now: calls.append(now[:2]))
    whole = evaluate(recordings, [HALF], tmp_path / "whole", OPTIONS)
    assert calls == [(1, 3), (2, 3), (3, 3)]
    assert replace(resumed, values={}) == replace(whole, values={})
    assert without_times(resumed) == without_times(whole)


def test_what_is_done_is_not_done_again_unless_its_files_changed(recordings, tmp_path, no_page):
    seen = []
    counting = replace(HALF, synthesize=lambda waveform: seen.append(len(waveform)) or half(waveform))
    report = tmp_path / "report"
    first = evaluate(recordings, [counting], report, replace(OPTIONS, limit=2))
    assert (first.clips, len(seen)) == (("1", "2"), 2)
    assert len(evaluate(recordings, [counting], report, OPTIONS).clips) == 3
    assert len(seen) == 3
    samples, rate = soundfile.read(recordings / "2.wav", dtype="float32")
    soundfile.write(recordings / "2.wav", samples[:-100], rate)
    evaluate(recordings, [counting], report, OPTIONS)
    assert seen[3:] == [9500]


def test_failures_are_tried_again(recordings, tmp_path, no_page):
    broken = [True]

    def sometimes(waveform):
        if broken[0]:
            raise MemoryError("for now")
        return half(waveform)

    system = replace(HALF, synthesize=sometimes)
    options = replace(OPTIONS, limit=1)
    assert len(evaluate(recordings, [system], tmp_path / "report", options).failures) == 1
    broken[0] = False
    assert evaluate(recordings, [system], tmp_path / "report", options).failures == ()


@pytest.mark.parametrize(
    ("systems", "options", "differs"),
    [
        ([HALF, NOISY], OPTIONS, "systems"),
        ([replace(HALF, identity="seed 1")], OPTIONS, "systems"),
        ([HALF], replace(OPTIONS, metrics=("log_mel_db",)), "metrics"),
        ([HALF], replace(OPTIONS, tolerance_ms=1.0), "tolerance"),
    ],
)
def test_another_evaluation_is_not_mixed_in(recordings, tmp_path, no_page, systems, options, differs):
    report = tmp_path / "report"
    evaluate(recordings, [HALF], report, replace(OPTIONS, limit=1))
    with pytest.raises(ConfigError, match=f"with other {differs}; choose another --report, or --overwrite"):
        evaluate(recordings, systems, report, options)
    (report / "mine.txt").write_text("kept")
    result = evaluate(recordings, systems, report, replace(options, limit=1, overwrite=True))
    assert Evaluation.load(report) == result
    assert (report / "mine.txt").exists()


def test_a_folder_of_something_else_is_left_alone(recordings, tmp_path):
    """Even with `overwrite`."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.tex").write_text("kept")
    with pytest.raises(ConfigError, match="holds something else"):
        evaluate(recordings, [HALF], tmp_path / "work", replace(OPTIONS, overwrite=True))
    assert (tmp_path / "work" / "thesis.tex").exists()
    with pytest.raises(ConfigError, match="is a file"):
        evaluate(recordings, [HALF], recordings / "1.wav", OPTIONS)


def test_a_report_among_the_recordings_is_not_evaluated(recordings, no_page):
    report = recordings / "report"
    options = replace(OPTIONS, limit=1)
    assert evaluate(recordings, [HALF], report, options) == evaluate(recordings, [HALF], report, options)
    shutil.copytree(report / "audio", recordings.parent / "elsewhere")
    assert json.loads((report / "plan.json").read_text())["metrics"] == list(OPTIONS.metrics)


def test_names_that_would_share_a_folder_are_refused(recordings, tmp_path):
    for name in ("Half!", "reference", "griffin lim"):
        with pytest.raises(ConfigError, match="rename one"):
            evaluate(recordings, [HALF, replace(NOISY, system=System(name, name))], tmp_path / "report", OPTIONS)


@pytest.mark.parametrize(("name", "value"), [("limit", 0), ("workers", 0), ("tolerance_ms", -1.0), ("n_listening", -1)])
def test_options_that_make_no_sense(name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}; it must be"):
        EvaluationOptions(**{name: value})


def test_unknown_metrics_and_folders(recordings, tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'pesq_wb'"):
        evaluate(recordings, [HALF], tmp_path / "report", EvaluationOptions(metrics=("pesqwb",)))
    with pytest.raises(ConfigError, match="no such folder"):
        evaluate(tmp_path / "none", [HALF], tmp_path / "report", OPTIONS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no audio found"):
        evaluate(tmp_path / "empty", [HALF], tmp_path / "report", OPTIONS)
    assert not (tmp_path / "report").exists()
