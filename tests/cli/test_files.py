"""Which files a command reads and writes, and what stands in the way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import SPEECH
from wavegrad.cli.files import find, plan
from wavegrad.errors import ConfigError
from wavegrad.suffixes import AUDIO, MELS, files_below
from wavegrad.training.data import find_clips

ROOT = Path(__file__).parents[2]
needs_any_name = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")


@pytest.fixture
def tree(tmp_path):
    """in/a.wav, in/deep/b.wav and an empty folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").touch()
    (tmp_path / "in" / "deep" / "b.wav").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_folders_behind_links_are_searched_once_even_where_they_lead_back(tree):
    """Regression: a folder of links to corpora was empty to all commands."""
    (tree / "links").mkdir()
    (tree / "links" / "voice").symlink_to(tree / "in")
    (tree / "in" / "deep" / "up").symlink_to(tree / "in")
    found = [below.as_posix() for _, below in find([str(tree / "links")], AUDIO)]
    assert found == ["voice/a.wav", "voice/deep/b.wav"]
    assert (
        find_clips(tree / "links")
        == files_below(tree / "links", AUDIO)
        == [p for p, _ in find([str(tree / "links")], AUDIO)]
    )


@needs_any_name
def test_a_name_that_is_no_utf_8_costs_one_line(run, model, tmp_path):
    """Regression: a traceback in each command; old archives have names in Latin-1."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (b"caf\xe9.flac", b"a.flac", b"b.flac"):
        shutil.copy(os.fsencode(SPEECH / "kathleen.flac"), os.fsencode(folder) + b"/" + name)
    why = r"caf\udce9.flac': its name is no UTF-8; rename it"
    result = run("vocode", folder, "--out", tmp_path / "out", "--model", model)
    assert (result.code, why in result.err) == (2, True)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.wav", "b.wav"]
    result = run("prepare", "folder", "--source", folder, "--out", tmp_path / "prepared", "--valid-share", 0)
    assert result.code == 0
    assert r"left out caf\udce9: " in result.out
    train = ("train", ROOT / "recipes" / "tiny.toml", "--set", "run.steps=1", "--set", "run.valid_synthesis=0")
    result = run(*train, "--data", folder, "--valid", SPEECH, "--run-dir", tmp_path / "run")
    assert (result.code, why in result.out) == (0, True), result.err
    result = run("evaluate", "--reference", folder, "--report", tmp_path / "report", "--model", model)
    assert (result.code, why in result.err) == (2, True)


def test_a_name_that_the_terminal_lacks_is_no_reason_to_stop(tmp_path):
    """Regression: a UnicodeEncodeError, as where a console of Windows is redirected into a file."""
    silent = tmp_path / "ü.wav"
    soundfile.write(silent, np.zeros(24000), 24000)
    shutil.copy(SPEECH / "kathleen.flac", tmp_path)
    folders = ["--data", tmp_path, "--valid", SPEECH, "--run-dir", tmp_path / "run"]
    train = ["train", "recipes/tiny.toml", "--set", "run.steps=1", "--set", "run.valid_synthesis=0", *folders]
    ended = subprocess.run(
        [sys.executable, "-m", "wavegrad", *train],
        cwd=ROOT, env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert r"skipped \xfc.wav: silent" in ended.stdout


def test_outputs_inside_the_input_folder_are_no_inputs_the_next_time(tree):
    """The second call was refused: the outputs of the first, taken for inputs, would have been overwritten."""
    out = tree / "in" / "out"
    first = plan([str(tree / "in")], out, AUDIO, ".wav")
    for job in first:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.touch()
    assert plan([str(tree / "in")], out, AUDIO, ".wav") == first
    assert len(first) == 2


@pytest.mark.parametrize("nothing", ["empty", "in/*.flac"])
def test_one_input_without_files_is_refused_although_another_has_some(tree, nothing):
    """It was passed over without a word."""
    with pytest.raises(ConfigError, match=f"no input found in .*{nothing.split('/')[-1].replace('*', '.')}"):
        find([str(tree / "in"), str(tree / nothing)], AUDIO)


def test_a_file_in_the_way_of_a_folder_is_found_before_work_starts(tree):
    """Synthesis ran, and then ended in a FileExistsError."""
    for out in (tree / "in" / "a.wav" / "o", tree / "in" / "a.wav"):
        with pytest.raises(ConfigError, match=r"a\.wav is a file, not a folder"):
            plan([str(tree / "in" / "deep")], out, AUDIO, ".wav")
    (tree / "o" / "b.npy").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"b\.npy is a folder"):
        plan([str(tree / "in" / "deep")], tree / "o", AUDIO, ".npy")
    assert len(plan([str(tree / "in")], tree / "new" / "o", AUDIO + MELS, ".flac")) == 2
