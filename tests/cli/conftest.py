"""A tiny model on disk, and the command in this process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from wavegrad.audio import mel_preset
from wavegrad.audio.prior import PriorConfig
from wavegrad.cli.main import main
from wavegrad.diffusion import NoiseSchedule
from wavegrad.network import WaveGrad, network_preset
from wavegrad.vocoder import Vocoder

SPEECH = Path(__file__).parents[2] / "samples" / "reference"
COMMAND = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); import wavegrad.cli.main as m; m.main()",
)
"""`wavegrad` as in a terminal: what a shell starts in the background ignores Ctrl-C, and so does what that starts."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model directory with random weights; its output layer is zero, so that sampling stays finite."""
    torch.manual_seed(0)
    network = WaveGrad(network_preset("tiny"))
    torch.nn.init.zeros_(network.output_conv.weight)
    directory = tmp_path_factory.mktemp("model") / "tiny"
    schedules = {"2": NoiseSchedule.log_snr(2, 20.0, -20.0)}
    Vocoder(mel_preset("wavegrad-24k"), network, PriorConfig("spectral"), schedules, "2").save_pretrained(directory)
    return str(directory)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """run("vocode", ...) is `wavegrad vocode ...`."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["wavegrad", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run
