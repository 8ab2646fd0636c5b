"""`wavegrad evaluate`: options to systems, tables, exit codes."""

import json
import pickle
import sys
import types

import pytest
import soundfile

from tests.cli.conftest import SPEECH
from wavegrad.cli.evaluated import Synthesis, copy_syntheses
from wavegrad.evaluation.results import Evaluation


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Two clips of a quarter of a second; the page has tests of its own."""
    page = types.ModuleType("wavegrad.evaluation.report")
    page.write_report = lambda evaluation, directory, n_listening: directory / "report.html"
    monkeypatch.setitem(sys.modules, "wavegrad.evaluation.report", page)
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    for folder in ("recordings", "made"):
        (tmp_path / folder).mkdir()
        for i in (1, 2):
            soundfile.write(tmp_path / folder / f"{i}.wav", samples[24000 * i :][:6000], rate)
    return tmp_path / "recordings"


def evaluate(run, recordings, *more):
    report = recordings.parent / "report"
    return run(
        "evaluate", "--reference", recordings, "--report", report, "--metrics", "log_mel_db", "--threads", 1, *more
    )


def test_models_and_folders_side_by_side(run, model, recordings):
    folder = f"made={recordings.parent / 'made'}"
    result = evaluate(
        run, recordings, "--model", model, "--steps", "2,3", "--schedule", "diffwave-6", "--generated", folder
    )
    assert result.code == 0, result.err
    evaluation = Evaluation.load(recordings.parent / "report")
    assert [(s.name, s.group, s.n_steps) for s in evaluation.systems] == [
        ("tiny, 2 steps", "tiny", 2),
        ("tiny, 3 steps", "tiny", 3),
        ("tiny, diffwave-6", "tiny, diffwave-6", 6),
        ("made", "made", None),
        ("Griffin-Lim", "Griffin-Lim", None),
    ]
    assert "| system | n | log-mel distance, dB | real-time factor |" in result.out
    assert "| made | 2 | 0.00 (0.00 to 0.00) | - |" in result.out
    assert "| minus tiny, 2 steps | n |" in result.out
    assert " better | - |" in result.out
    assert evaluation.command.startswith("wavegrad evaluate --reference ")
    assert "note: tiny, diffwave-6: " in result.err  # its schedule ends far from noise
    plan = json.loads((recordings.parent / "report" / "plan.json").read_text())
    assert len({system.get("identity") for system in plan["systems"]}) == 5


def test_it_computes_as_vocode_does_also_in_a_worker(model, monkeypatch):
    """A worker gets the name of a model, and loads it; Base was slower here than in `vocode`."""
    kept: list[int] = []
    monkeypatch.setattr("wavegrad.inference.keep_freed_memory", lambda: kept.append(1))
    systems, _ = copy_syntheses(model, "tiny", Synthesis((2,), (), (), 0, "cpu"))
    assert kept == [1]
    there = pickle.loads(pickle.dumps(systems[0]))
    assert kept == [1, 1]
    assert there.synthesize.model.vocoder is not systems[0].synthesize.model.vocoder


def test_samplers_side_by_side_and_a_precision(run, model, recordings):
    """Another sampler, another line in the plots; another precision, another evaluation."""
    wanted = ("--model", model, "--steps", "2", "--sampler", "ancestral", "--sampler", "ddim:eta=0.5", "--limit", 1)
    result = evaluate(run, recordings, *wanted)
    assert result.code == 0, result.err
    evaluation = Evaluation.load(recordings.parent / "report")
    assert [(s.name, s.group) for s in evaluation.systems[:2]] == [
        ("tiny, ancestral, 2 steps", "tiny, ancestral"),
        ("tiny, ddim:eta=0.5, 2 steps", "tiny, ddim:eta=0.5"),
    ]
    assert evaluation.value("tiny, ancestral, 2 steps", "1", "log_mel_db") != evaluation.value(
        "tiny, ddim:eta=0.5, 2 steps", "1", "log_mel_db"
    )
    other = evaluate(run, recordings, *wanted, "--dtype", "bfloat16")
    assert (other.code, "with other systems" in other.err) == (2, True)
    assert evaluate(run, recordings, *wanted, "--dtype", "bfloat16", "--dtype", "float32", "--overwrite").code == 0
    both = Evaluation.load(recordings.parent / "report")
    half, full = (both.value(f"tiny, {kind}ancestral, 2 steps", "1", "log_mel_db") for kind in ("bfloat16, ", ""))
    assert full == evaluation.value("tiny, ancestral, 2 steps", "1", "log_mel_db")
    assert full != half == pytest.approx(full, rel=0.1)


@pytest.mark.parametrize(
    ("units", "names"), [(True, ["tiny, bfloat16, 2 steps", "tiny, 2 steps"]), (False, ["tiny, 2 steps"])]
)
def test_dtype_auto_has_the_name_of_what_it_is(run, model, recordings, monkeypatch, units, names):
    """Where it is float32, that is one system, also if both are asked for."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": units})
    dtypes = ("--dtype", "auto", "--dtype", "float32", "--device", "cpu")
    result = evaluate(run, recordings, "--model", model, "--steps", "2", "--limit", 1, *dtypes)
    assert result.code == 0, result.err
    evaluation = Evaluation.load(recordings.parent / "report")
    assert [s.name for s in evaluation.systems[:-1]] == names
    plan = json.loads((recordings.parent / "report" / "plan.json").read_text())
    precisions = [
        json.loads(s["identity"])["precision"] for s in plan["systems"] if "precision" in (s["identity"] or "")
    ]
    assert precisions == ["bfloat16", "float32"][not units :]


def test_a_metric_named_twice_is_one_column(run, recordings):
    folder = f"made={recordings.parent / 'made'}"
    result = evaluate(run, recordings, "--generated", folder, "--metrics", "log_mel_db,log_mel_db")
    assert result.code == 0, result.err
    assert "| system | n | log-mel distance, dB | real-time factor |\n" in result.out


def test_numbers_of_griffin_lim_iterations_side_by_side(run, model, recordings):
    wanted = ("--model", model, "--steps", "2", "--limit", 1, "--metrics", "log_mel_db")
    result = evaluate(run, recordings, *wanted, "--griffin-lim", 0, "--griffin-lim", 4)
    assert result.code == 0, result.err
    evaluation = Evaluation.load(recordings.parent / "report")
    names = ["tiny, griffin_lim 0, 2 steps", "tiny, griffin_lim 4, 2 steps"]
    assert [s.name for s in evaluation.systems[:2]] == names
    without, brought = (evaluation.value(name, "1", "log_mel_db") for name in names)
    assert brought < 0.5 * without


def test_a_schedule_file_and_a_second_run(run, model, recordings):
    file = recordings.parent / "mine.json"
    from wavegrad.diffusion import NoiseSchedule

    NoiseSchedule.log_snr(2).save(file)
    first = evaluate(run, recordings, "--model", model, "--schedule", file)
    second = evaluate(run, recordings, "--model", model, "--schedule", file)
    assert (first.code, first.out) == (0, second.out)
    assert "tiny, mine" in first.out
    NoiseSchedule.log_snr(3).save(file)
    changed = evaluate(run, recordings, "--model", model, "--schedule", file)
    assert (changed.code, "with other systems; choose another --report" in changed.err) == (2, True)
    assert evaluate(run, recordings, "--model", model, "--schedule", file, "--overwrite").code == 0


def test_a_bad_clip_is_reported_and_ends_with_2(run, model, recordings):
    (recordings.parent / "made" / "2.wav").unlink()
    result = evaluate(run, recordings, "--generated", f"made={recordings.parent / 'made'}")
    assert result.code == 2
    assert f"2: made: there is no 2 in {recordings.parent / 'made'}" in result.err
    assert "1 failed; see above" in result.err
    assert "| made | 1 |" in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", "6,x"), "whole numbers with commas"),
        (("--steps", "6,6"), "each number once"),
        (("--generated", "made"), "write NAME=DIR"),
        (("--generated", "made=none", "--steps", "6"), "are for models; name one with --model"),
        (("--generated", "made=none"), "none: no such folder"),
        (("--model", "none"), "unknown model 'none'"),
        (("--steps", "2", "--sampler", "ddpm"), "unknown sampler 'ddpm'"),
        (("--generated", "made=none", "--sampler", "ddim"), "are for models; name one with --model"),
        (("--generated", "made=none", "--dtype", "bfloat16"), "are for models; name one with --model"),
        (("--dtype", "float8"), "unknown precision 'float8'"),
        (("--generated", "a=none", "--tolerance-ms", "-1"), None),
    ],
)
def test_mistakes_get_one_line(run, recordings, options, message):
    result = evaluate(run, recordings, *options)
    assert result.code == 2
    assert message is None or message in result.err
    assert message is None or result.err.count("\n") == 1
    assert not (recordings.parent / "report").exists()


def test_models_of_one_name_are_told_apart():
    from wavegrad.cli.evaluated import model_labels

    assert model_labels(["small-24k", "runs/a/best", "runs/b/best"]) == ["small-24k", "runs/a/best", "runs/b/best"]
    assert model_labels(["runs/a/best/", "runs/a/last"]) == ["best", "last"]
