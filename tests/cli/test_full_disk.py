"""A full disk and a closed pipe: one line or none, whole files or none."""

import errno
import os
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import COMMAND
from wavegrad.cli.files import is_full_disk
from wavegrad.errors import AudioError

ROOT = Path(__file__).parents[2]
FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")


@pytest.fixture
def mels(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abc":
        np.save(tmp_path / "in" / f"{name}.npy", np.full((128, 20), -11.0, np.float32))
    return tmp_path / "in"


def shell(line, model, tmp_path, *, long=False):
    """The end of `line` in a shell; in it, $vocode is the command for all three mels."""
    *python, code = COMMAND
    if long:
        code = f"import wavegrad.cli.long_files as files; files.LONG_S = 0.1; {code}"
    vocode = shlex.join([*python, code, "vocode", "in", "--out", "out", "--model", model])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line.replace("$vocode", vocode)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )


def files(tmp_path):
    return sorted(path.name for path in (tmp_path / "out").iterdir())


@needs_full
@pytest.mark.parametrize("long", [False, True])
def test_a_full_disk_ends_it_with_one_line(run, model, mels, tmp_path, long):
    """The file that `exec` is to write first has the name of a device that is always full: the process id is known."""
    (tmp_path / "out").mkdir()
    ended = shell("ln -s /dev/full out/.b.wav.$$.tmp; exec $vocode", model, tmp_path, long=long)
    assert ended.returncode == 2
    lines = [line for line in ended.stderr.splitlines() if "b.wav" in line]
    said = "wavegrad: error: out/b.wav: cannot be written: No space left on device; free some space: what is done stays"
    assert [line[: len(said)] for line in lines] == [said]
    assert "Traceback" not in ended.stderr
    assert ended.stdout.startswith("1 file, 0.25 s of audio")
    assert files(tmp_path) == ["a.wav"]
    assert soundfile.info(tmp_path / "out" / "a.wav").frames == 20 * 300
    again = run("vocode", mels, "--out", tmp_path / "out", "--model", model)
    assert again.code == 0
    assert "1 of 3 done before" in again.out


@needs_full
def test_nowhere_to_say_it(model, mels, tmp_path):
    ended = shell("$vocode > /dev/full", model, tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == "wavegrad: error: output: No space left on device; free some space"
    assert files(tmp_path) == ["a.wav", "b.wav", "c.wav"]


@pytest.mark.parametrize("redirected", ["", "2>&1"])
def test_a_closed_pipe_ends_it_in_silence(model, mels, tmp_path, redirected):
    """Nobody reads the summary, or not even the progress bar."""
    ended = shell(f"$vocode {redirected} | true", model, tmp_path)
    assert ended.returncode == 128 + 13
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr
    if not redirected:
        assert files(tmp_path) == ["a.wav", "b.wav", "c.wav"]
    assert not list(tmp_path.rglob("*.tmp"))
    for path in (tmp_path / "out").glob("*"):
        assert soundfile.info(path).frames == 20 * 300


def test_a_folder_that_cannot_be_made_is_one_line_for_each_file(run, model, mels, tmp_path, monkeypatch):
    def refuse(self, *args, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    result = run("vocode", mels, "--out", tmp_path / "out", "--model", model)
    assert result.code == 2
    assert result.err.count("cannot be written: Permission denied") == 3


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False)])
def test_what_counts_as_a_full_disk(number, full):
    cause = OSError(number, "what the system says")
    error = AudioError("a.wav cannot be written")
    error.__cause__ = cause
    assert is_full_disk(error) is is_full_disk(cause) is full
    assert not is_full_disk(AudioError("another fault"))
