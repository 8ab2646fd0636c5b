"""Evaluations without a picture: the page has tests of its own."""

import sys
import types
from pathlib import Path

import pytest
import soundfile
import torch

SPEECH = Path(__file__).parents[2] / "samples" / "reference"


@pytest.fixture
def no_page(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The report is a file with a word in it; where it was written."""
    written = []

    def write_report(evaluation, directory, n_listening):
        written.append(directory)
        (directory / "report.html").write_text("report")
        return directory / "report.html"

    module = types.ModuleType("wavegrad.evaluation.report")
    module.write_report = write_report
    monkeypatch.setitem(sys.modules, "wavegrad.evaluation.report", module)
    return written


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Three clips of 0.4 s of speech, one of them in a folder of its own."""
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    folder = tmp_path / "recordings"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(("1", "2", "deep/3")):
        soundfile.write(folder / f"{name}.wav", samples[24000 + 9600 * i :][:9600], rate)
    return folder


def half(waveform: torch.Tensor) -> torch.Tensor:
    """A system that spawned workers can be sent: 6 dB down."""
    return 0.5 * waveform


def noisy(waveform: torch.Tensor) -> torch.Tensor:
    return waveform + 0.01 * torch.randn(len(waveform), generator=torch.Generator().manual_seed(0))
