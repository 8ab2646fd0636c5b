"""A small evaluation with its audio, and with names that would like to be HTML."""

from pathlib import Path

import torch

from wavegrad.audio.io import read_audio, write_audio
from wavegrad.evaluation.results import Evaluation, Failure, System, audio_path

SPEECH = Path(__file__).parents[2] / "samples" / "reference"
HOSTILE_CLIP = "<img src=x onerror=alert(1)>"
HOSTILE_SYSTEM = "</script><script>alert(2)</script>"
COARSE = System("small, 6 steps", "small", 6)
FINE = System("small, 25 steps", "small", 25)
OTHER = System(HOSTILE_SYSTEM, HOSTILE_SYSTEM)
CLIPS = ("ljspeech", "books/kathleen", HOSTILE_CLIP)
COMMAND = "wavegrad evaluate --reference '<b>' && echo"

VALUES = {
    COARSE.name: {
        "ljspeech": {"log_mel_db": 3.0, "pesq_wb": 3.0, "silence_db": -2.0, "rtf": 0.6},
        "books/kathleen": {"log_mel_db": 3.4, "pesq_wb": 3.1, "silence_db": -3.0, "rtf": 0.7},
        HOSTILE_CLIP: {"log_mel_db": 3.2, "silence_db": -2.5, "rtf": 0.65},
    },
    FINE.name: {
        "ljspeech": {"log_mel_db": 2.0, "pesq_wb": 3.5, "silence_db": 1.0, "rtf": 2.6},
        "books/kathleen": {"log_mel_db": 2.2, "pesq_wb": 3.7, "silence_db": 0.5, "rtf": 2.7},
        HOSTILE_CLIP: {"log_mel_db": 2.1, "silence_db": 0.0, "rtf": 2.5},
    },
    OTHER.name: {"ljspeech": {"log_mel_db": 10.5}, "books/kathleen": {"log_mel_db": 9.5}},
}


def example(directory: Path) -> Evaluation:
    """Two seconds of three clips, with noise in place of a system's faults; one file is missing."""
    generator = torch.Generator().manual_seed(0)
    for clip, source in zip(CLIPS, ("ljspeech", "kathleen", "nathalie"), strict=True):
        recording, rate = read_audio(SPEECH / f"{source}.flac", 24_000)
        recording = recording[: 2 * rate]
        _write(audio_path(directory, clip), recording, rate)
        for system, noise in ((COARSE, 3e-3), (FINE, 1e-3), (OTHER, 3e-2)):
            if (system, clip) != (OTHER, HOSTILE_CLIP):
                noisy = recording + noise * torch.randn(recording.shape, generator=generator)
                _write(audio_path(directory, clip, system), noisy.clamp(-1, 1), rate)
    failures = (Failure(OTHER.name, HOSTILE_CLIP, "is <i>0.3 s</i> shorter than the recording"),)
    metrics = ("log_mel_db", "pesq_wb", "silence_db", "rtf")
    remarks = ("A remark & <u>more</u>",)
    return Evaluation(24_000, (COARSE, FINE, OTHER), CLIPS, metrics, VALUES, remarks, failures, COMMAND)


def _write(path: Path, waveform: torch.Tensor, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, waveform, rate)
