"""Journals, workers and the command: interrupted, spread out or batched, a search is the same."""

import json
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wavegrad.cli.main import main
from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import CheckpointError, ConfigError, WavegradError
from wavegrad.search import (
    Budget,
    InProcess,
    Journal,
    Processes,
    Ray,
    SearchOptions,
    SearchSpace,
    Task,
    VocoderSetup,
    coordinate_method,
    search,
)
from wavegrad.vocoder import Vocoder

ROOT = Path(__file__).parents[2]
CLIPS = tuple(str(ROOT / "samples" / "reference" / f"{name}.flac") for name in ("kathleen", "nathalie"))
SPACE = SearchSpace(2)

pytestmark = pytest.mark.timeout(900)  # processes that import PyTorch take long to start on a busy machine


def setup(model: str) -> VocoderSetup:
    return VocoderSetup(model, CLIPS, "log_mel_db", seconds=0.3)


def found(pool: Any, journal: Journal | None = None, batch: int = 4) -> Any:
    method = coordinate_method(SPACE, (20.0, -20.0))
    with pool:
        return search(method, pool, journal or Journal(None, ""), SearchOptions(2, batch, 1), Budget(12))


@pytest.mark.usefixtures("workers_at_once")
def test_worker_processes_find_the_same_as_one(model: str) -> None:
    alone = found(InProcess(setup(model)))
    spread = found(Processes(setup(model), 2))
    assert spread.trials == alone.trials
    assert (spread.calls, spread.shared) == (alone.calls, alone.shared)
    assert alone.shared > 0


@pytest.mark.usefixtures("workers_at_once")
def test_a_dead_worker_process_and_an_error_in_one_are_told_of(model: str) -> None:
    tasks = [Task(((0.5,),), clip) for clip in (0, 1, 7)]
    with Processes(setup(model), 1) as pool:
        outcomes = pool.run(tasks)
        assert [next(outcomes)[0], next(outcomes)[0]] == tasks[:2]
        with pytest.raises(IndexError):
            next(outcomes)
        (process,) = pool._workers.values()
        process.kill()
        process.join()
        with pytest.raises(WavegradError, match="a worker process died"):
            list(pool.run(tasks))


def test_the_batch_changes_no_more_than_rounding(model: str) -> None:
    scores = [[t.score for t in found(InProcess(setup(model)), batch=batch).trials] for batch in (1, 4)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


def test_a_search_changes_no_model(model: str) -> None:
    before = {p: p.read_bytes() for p in Path(model).rglob("*") if p.is_file()}
    found(InProcess(setup(model)))
    assert {p: p.read_bytes() for p in Path(model).rglob("*") if p.is_file()} == before


def test_a_half_written_line_is_dropped_and_a_foreign_journal_refused(model: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    whole = found(InProcess(setup(model)), Journal(path, "x"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + lines[4][:20])
    journal = Journal(path, "x")
    assert len(journal.outcomes) == 3
    assert found(InProcess(setup(model)), journal).trials == whole.trials
    with pytest.raises(ConfigError, match="belongs to a search with another model"):
        Journal(path, "y")
    path.write_text(lines[0] + "nonsense\n")
    with pytest.raises(ConfigError, match="line 2 is damaged"):
        Journal(path, "x")


def arguments(model: str, out: Path, *more: str) -> list[str]:
    options = f"--model {model} --steps 2 --clips 2 --seconds 0.3 --objective log_mel_db --batch 4 --first-clips 1"
    search = f"--method coordinate --trials 12 --out {out} --device cpu"
    return ["search-schedule", *CLIPS, *options.split(), *search.split(), *more]


def start(arguments: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "wavegrad", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def here(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["wavegrad", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code


def result(out: Path) -> dict[str, Any]:
    """What must not depend on how often, where and when it was computed."""
    table: dict[str, Any] = json.loads((out / "2.json").read_text())
    for changing in ("date", "seconds"):
        del table["search"][changing]
    return table


def test_killed_and_started_again_is_as_never_killed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real kill, once the journal shows that the search is on its way; then the schedule is used."""
    a, b = tmp_path / "a", tmp_path / "b"
    journal = b / "trials-2.jsonl"
    with start(arguments(model, b)) as killed:
        while killed.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") >= 4):
            time.sleep(0.005)
        killed.kill()
    assert killed.returncode == -signal.SIGKILL
    assert not (b / "2.json").exists()
    best = found(InProcess(setup(model))).best.score
    here(monkeypatch, arguments(model, a))
    here(monkeypatch, arguments(model, b, "--add-to", model))
    assert result(a) == result(b)
    table = result(b)
    assert table["search"]["search_score"] == best
    assert table["search"]["baselines"][0]["name"] == "the model's own"
    assert table["search"]["trials"] == 12
    assert (b / "report.html").read_text().count("data:image/png") == 4
    assert NoiseSchedule.load(b / "2.json").betas == tuple(table["betas"])
    assert table["search"]["baselines"][0]["found_is_better_by"]["gain"] > 0
    assert Vocoder.from_pretrained(model).schedules["2"].betas == tuple(table["betas"])


def test_what_is_no_better_on_recordings_that_were_not_searched_on_is_not_stored(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A search that tries nothing but the schedule that the model has."""
    third = str(ROOT / "samples" / "reference" / "flemishguy.flac")
    before = (Path(model) / "schedules" / "2.json").read_bytes()
    command = arguments(model, tmp_path, "--add-to", model, "--trials", "1")
    here(monkeypatch, [*command[:3], third, *command[3:]])
    said = capsys.readouterr().out
    assert f"   2 steps  not stored in {model}: no better than without a search" in said
    assert "as good, as far as that tells: +0.000 (+0.000 to +0.000) with other recordings (1), other noise" in said
    assert (Path(model) / "schedules" / "2.json").read_bytes() == before
    search = result(tmp_path)["search"]
    assert search["clips"] == [Path(CLIPS[0]).name, Path(CLIPS[1]).name]
    assert search["judged_on"] == ["flemishguy.flac"]
    alone = VocoderSetup(model, (third,), "log_mel_db", seconds=0.3, seed=2).build()
    expected = alone(Task((tuple(result(tmp_path)["betas"]),), 0)).scores
    assert search["scores"] == list(expected)
    assert search["search_score"] != search["score"]


def test_a_search_begins_with_what_it_is_given(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the outcome is compared with that, too; the others of --steps begin as always."""
    begin = NoiseSchedule.log_snr(2, 20.0, -10.0)
    begin.save(tmp_path / "begin.json")
    command = arguments(model, tmp_path, "--trials", "1", "--steps", "1,2", "--start", str(tmp_path / "begin.json"))
    here(monkeypatch, command)
    table = json.loads((tmp_path / "2.json").read_text())
    assert table["betas"] == pytest.approx(begin.betas, rel=1e-9)
    assert [row["name"] for row in table["search"]["baselines"]][:2] == ["the model's own", "the start"]
    own = Vocoder.from_pretrained(model).find_schedule(1)
    assert json.loads((tmp_path / "1.json").read_text())["betas"] == pytest.approx(own.betas, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--method", "dp"], "--start is for coordinate, tpe and cma-es; dp begins nowhere"),
        (["--steps", "3"], "has 2 steps; --steps asks for 3"),
        (["--range-db", "15,-30"], "of 20.0, -10.0 dB, is outside of what is searched"),
    ],
)
def test_a_start_that_cannot_be_is_refused_before_anything_is_written(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options, message
) -> None:
    NoiseSchedule.log_snr(2, 20.0, -10.0).save(tmp_path / "begin.json")
    command = arguments(model, tmp_path / "out", "--start", str(tmp_path / "begin.json"), *options)
    monkeypatch.setattr(sys, "argv", ["wavegrad", *command])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_search_is_judged_with_noise_that_it_has_not_heard(model: str) -> None:
    """Seeds of the clips of a search: 0 and 1."""
    assert setup(model).for_judging(()) == replace(setup(model), seed=2)
    assert setup(model).for_judging(["a.flac"]) == replace(setup(model), clips=("a.flac",), seed=2)


def test_a_ray_cluster_finds_the_same_though_a_worker_is_killed(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two actors on a local cluster; the first that sees the marker missing makes it and kills its own process. Then
    the command, from another process."""
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'wavegrad-vocoder[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    marker = tmp_path / "killed"
    inner = setup(model)

    class Mortal:
        def build(self) -> Any:
            judge = inner.build()
            n_tasks = 0

            def evaluate(task: Task) -> Any:
                import os

                nonlocal n_tasks
                n_tasks += 1
                if n_tasks == 3 and not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), 9)
                return judge(task)

            return evaluate

        def identity(self) -> str:
            return ""

    with tempfile.TemporaryDirectory(prefix="r", dir="/tmp") as short, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = ray.init(
            num_cpus=2, include_dashboard=False, _temp_dir=short, log_to_driver=False, configure_logging=False,
            object_store_memory=80_000_000,
        )  # fmt: skip
        try:
            spread = found(Ray(Mortal(), 2, "auto"))
            on_ray = ["--ray", cluster.address_info["address"], "--workers", "1"]
            with start(arguments(model, tmp_path / "ray", *on_ray)) as command:
                _, errors = command.communicate()
            assert command.returncode == 0, errors
        finally:
            ray.shutdown()
    assert marker.exists()
    assert spread.trials == found(InProcess(inner)).trials
    here(monkeypatch, arguments(model, tmp_path / "here"))
    assert result(tmp_path / "ray") == result(tmp_path / "here")


def test_models_that_are_not_there_are_refused(tmp_path: Path) -> None:
    from wavegrad.search import add_to_model

    with pytest.raises(CheckpointError):
        add_to_model({}, str(tmp_path), "6")
    with pytest.raises(ConfigError, match="file name"):
        add_to_model({}, str(tmp_path), "../6")
