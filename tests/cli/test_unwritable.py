"""A place that cannot be written: one line that names it and says what to do, exit code 2."""

import errno
from pathlib import Path

import pytest

from tests.cli.conftest import SPEECH
from wavegrad.audio.io import read_audio, write_audio
from wavegrad.cli.files import REMEDIES
from wavegrad.errors import AudioError

CLIP, RECIPE = SPEECH / "kathleen.flac", Path(__file__).parents[2] / "recipes" / "tiny.toml"
PLACE = "unwritable"


@pytest.fixture
def read_only(monkeypatch):
    """Nothing can be opened for writing, made or removed; permissions would not keep the superuser from it."""

    def refused(path, *args, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    for name in ("write_bytes", "write_text", "mkdir", "unlink"):
        monkeypatch.setattr(Path, name, refused)
    true_open = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", *a, **k: (true_open if "r" in mode else refused)(path, mode, *a, **k)
    )


@pytest.mark.parametrize(
    "command",
    [
        ("mel", CLIP, "--out", f"{PLACE}/a.npy"),
        ("export", "--part", "network", "--onnx", f"{PLACE}.onnx"),
        ("export", "--program", f"{PLACE}.pt2"),
        ("search-schedule", CLIP, "--steps", 1, "--out", PLACE),
        ("evaluate", "--reference", SPEECH, "--metrics", "log_mel_db", "--report", PLACE),
        ("benchmark", "train", RECIPE, "--options", "prefetch", "--runs", 1, "--steps", 1, "--out", f"{PLACE}.json"),
    ],
    ids=lambda command: command[0],
)
def test_a_read_only_disk_is_one_line(run, model, tmp_path, monkeypatch, read_only, command):
    """Regression: each of these ended with a traceback and exit code 1."""
    monkeypatch.chdir(tmp_path)
    of_model = ("--model", model) if command[0] != "benchmark" else ("--set", "data.batch_size=2")
    result = run(*command, *of_model)
    assert result.code == 2
    said = result.err.splitlines()[-1]
    assert said.startswith(f"wavegrad: error: {PLACE}")
    assert said.endswith(f": Read-only file system; {REMEDIES[errno.EROFS]}")


def test_a_file_where_a_folder_is_to_be_is_one_line(run, model, tmp_path):
    (tmp_path / PLACE).touch()
    result = run("search-schedule", CLIP, "--steps", 1, "--out", tmp_path / PLACE, "--model", model)
    assert (result.code, result.err) == (2, f"wavegrad: error: {tmp_path / PLACE}: File exists; choose another one\n")


def test_audio_on_a_read_only_disk_is_its_own_error(tmp_path, read_only):
    """Regression: what was to be removed after the failure could not be removed either, and that was a traceback."""
    waveform, rate = read_audio(CLIP)
    with pytest.raises(AudioError, match=r"a\.wav: cannot be written: Read-only file system"):
        write_audio(tmp_path / "a.wav", waveform, rate)


def test_a_model_to_add_to_is_looked_for_before_the_search(run, model, tmp_path):
    """Regression: it was looked for when the search was done."""
    result = run("search-schedule", CLIP, "--out", tmp_path / "s", "--model", model, "--add-to", "smal-24k")
    assert result.code == 2
    assert "unknown model 'smal-24k': did you mean 'small-24k'?" in result.err
    assert not (tmp_path / "s").exists()
