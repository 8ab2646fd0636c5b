"""`wavegrad benchmark peers` with environments that hold next to nothing."""

import json
import sys
from functools import partial

import pytest

from wavegrad.cli import benchmark_peers
from wavegrad.cli.benchmark_peers import _measure
from wavegrad.errors import ConfigError
from wavegrad.peers import PEERS, Facts, interpreter_of, start_peer
from wavegrad.peers import process as peers_process

FAKE = """
import sys, time
print("packages talk")

def build(seconds, steps):
    import torch
    calls = []
    def call():
        calls.append(torch.is_inference_mode_enabled() and torch.get_num_threads() == 1)
        print("called", calls)
        time.sleep(0.02)
        if len(calls) > {most}:
            raise RuntimeError("enough of it")
    facts = dict(package="fake", version="9.9", computes=f"{{steps}} steps", parameters=2_500_000, seconds=seconds / 2)
    return facts, call
"""


@pytest.fixture
def environment(tmp_path):
    """As far as it matters a virtual environment: this interpreter by another name."""
    path = tmp_path / "venv" / "bin" / "python"
    path.parent.mkdir(parents=True)
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return tmp_path / "venv"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A peer that works, by the name of one that is known."""
    (tmp_path / "fake.py").write_text(FAKE.format(most=100))
    monkeypatch.setitem(peers_process.PEERS, "vocos", tmp_path / "fake.py")
    monkeypatch.setattr(benchmark_peers, "OURS", "tiny")


def test_a_table_of_ours_and_another_and_a_broken_one(run, environment, fake, tmp_path, monkeypatch):
    """The interpreter is isolated: lmnt's script does not take our package, of the same name, for lmnt's."""
    kept: list[int] = []
    monkeypatch.setattr("wavegrad.inference.keep_freed_memory", lambda: kept.append(1))
    out = tmp_path / "peers.json"
    chosen = ("--venv", f"lmnt={environment}", "--venv", f"vocos={environment}", "--venv", f"bigvgan={tmp_path}")
    result = run("benchmark", "peers", *chosen, "--seconds", 0.05, "--runs", 3, "--threads", 1, "--out", out)
    assert (result.code, kept) == (2, [1])
    said = result.err.splitlines()
    assert said[0].startswith("lmnt failed: ModuleNotFoundError: No module named ")
    assert said[1].startswith(f"{tmp_path} is no virtual environment: there is no ")
    assert said[2] == "2 failed; see above"
    assert "talk" not in result.out
    table = json.loads(out.read_text())
    ours, other = table["rows"]
    assert (ours["package"], ours["ratio_to_base"], ours["computes"]) == ("this, tiny", 1, "6 steps")
    assert (other["package"], other["version"], other["parameters"]) == ("fake", "9.9", 2_500_000)
    assert other["least"] <= other["real_time_factor"] <= other["most"]
    assert 0.02 < other["least"] * 0.025 < 1
    assert other["processor_factor"] < other["least"]
    lines = result.out.splitlines()
    assert len(lines) == 4
    assert lines[3].startswith("| fake | 9.9 | 2.5 M | 6 steps | ")
    assert table["machine"]["threads"] == 1


def test_the_ratio_is_that_of_neighbours_in_time():
    """Not that of the medians, which would be 2: here one slow run is the other's alone."""
    seconds = {"mine": iter([1.0, 2.0, 9.0]), "other": iter([8.0, 4.0, 18.0])}  # of 1 s of audio, and of 2 s

    def timed(name):
        of_processor = next(seconds[name])
        return 10 * of_processor, of_processor

    facts = [Facts(name, "1", "", 0, length, "") for name, length in (("mine", 1.0), ("other", 2.0))]
    mine, other = _measure([(fact, partial(timed, fact.package)) for fact in facts], 3)
    assert (mine.ratio_to_base, other.ratio_to_base) == (1, 1)
    assert (mine.processor_factor, other.processor_factor) == (2, 4)
    assert (other.real_time_factor, other.least, other.most) == (40, 20, 90)


def test_a_peer_that_fails_later_says_why(environment, tmp_path):
    (tmp_path / "fake.py").write_text(FAKE.format(most=2))
    interpreter = interpreter_of(environment)
    with start_peer("fake", tmp_path / "fake.py", interpreter, seconds=1.0, steps=6, threads=1) as peer:
        assert peer.facts.seconds == 0.5
        seconds, of_processor = peer.time()
        assert seconds >= 0.02 > of_processor  # it sleeps
        for _ in range(2):
            with pytest.raises(ConfigError, match="fake failed: RuntimeError: enough of it"):
                peer.time()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--venv", "lmtn=x"), "unknown peer 'lmtn': did you mean 'lmnt'"),
        (("--venv", "lmnt"), "--venv is 'lmnt'; NAME=DIR is expected"),
        (("--venv", "lmnt=x", "--out", "nowhere/speed.json"), "there is no folder nowhere"),
    ],
)
def test_mistakes(run, options, message):
    result = run("benchmark", "peers", *options)
    assert result.code == 2
    assert message in result.err


def test_a_python_that_does_not_run(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("no program")
    with (
        pytest.raises(ConfigError, match=r"lmnt failed: .*python cannot be run: "),
        start_peer("lmnt", PEERS["lmnt"], interpreter_of(tmp_path), seconds=1.0, steps=6, threads=1),
    ):
        pass
