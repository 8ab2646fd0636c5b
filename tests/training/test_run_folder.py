"""One training at a time in a folder, and one line where it cannot be written."""

import signal
import subprocess
import sys

import pytest

from tests.training.conftest import ROOT
from wavegrad.errors import TrainingError
from wavegrad.training.run_folder import claimed

HOLD = """
import sys, time
from pathlib import Path
from wavegrad.training.run_folder import claimed

with claimed(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


@pytest.mark.timeout(120)
def test_a_folder_belongs_to_one_process_until_that_is_killed(tmp_path):
    """Two trainings in one folder used to delete each other's log lines and checkpoints."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "mine\n"
            said = rf"process {other.pid} of .* trains in it; stop that one"
            with pytest.raises(TrainingError, match=said), claimed(tmp_path / "run"):
                pytest.fail("both train in it")
        finally:
            other.send_signal(signal.SIGKILL)
    for _ in range(2):
        with claimed(tmp_path / "run"):
            assert (tmp_path / "run").is_dir()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for run in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(TrainingError, match=r"cannot be written: .*; choose another --run-dir"), claimed(run):
            pytest.fail("there is no such folder")


def test_what_a_killed_training_left_is_cleared(tmp_path):
    """A model that was not whole yet, and a log; what has its place stays."""
    for name in ("best", f".best.{'5a' * 16}.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / ".recipe.toml.4711.tmp").write_text("[mod")
    with claimed(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "best"]
