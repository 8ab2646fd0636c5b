"""What a run says: log.jsonl, TensorBoard, and a progress bar."""

import json
import math
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from wavegrad import atomic

QUIET_S = 60.0
"""Between two states of the bar where they go to a file, s."""


class RunLog:
    """Writes each record as one line of log.jsonl and, where tensorboard is installed, as its curves."""

    def __init__(self, folder: Path, start: int, total: int):
        self._path = folder / "log.jsonl"
        self._spent = self._drop_after(start)
        self._file = self._path.open("a", encoding="utf-8")
        self._board = _summary_writer(folder / "tensorboard", start)
        self._bar = tqdm(
            total=total,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            smoothing=0.05,
            mininterval=0.1 if sys.stderr.isatty() else QUIET_S,
        )
        self._began = time.monotonic()

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()
        self._file.close()
        if self._board is not None:
            self._board.close()

    def step(self) -> None:
        """Move the bar on by one step."""
        self._bar.update()

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._bar.write(line)

    def write(self, step: int, group: str, values: dict[str, float]) -> None:
        """One record, for example write(100, "train", {"loss": 0.1}); what is not finite becomes null.

        Its "seconds" are those of training up to here, of all sittings together, without what was done again.
        """
        record: dict[str, Any] = {
            "step": step,
            "group": group,
            "seconds": round(self._spent + time.monotonic() - self._began, 1),
            **{k: v if math.isfinite(v) else None for k, v in values.items()},
        }
        if "loss" in values:
            self._bar.set_postfix(loss=f"{values['loss']:.4f}", refresh=False)
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{group}/{name}", value, step)

    def audio(self, step: int, name: str, waveform: Float[Tensor, " time"], sample_rate: int) -> None:
        """Audio and a picture of its spectrogram, for TensorBoard only."""
        if self._board is None:
            return
        self._board.add_audio(f"audio/{name}", waveform.clamp(-1, 1)[None], step, sample_rate)
        self._board.add_image(f"spectrogram/{name}", spectrogram_picture(waveform), step)

    def _drop_after(self, start: int) -> float:
        """Forget what an interrupted run logged after the checkpoint from which it goes on; the seconds up to there."""
        if not self._path.exists():
            return 0.0
        lines = [x for x in self._path.read_text(encoding="utf-8").splitlines(keepends=True) if _step_of(x) <= start]
        atomic.write_text(self._path, "".join(lines))
        return float(json.loads(lines[-1]).get("seconds", 0)) if lines else 0.0


class MuteLog:
    """The log of a process that is not the first: nothing is written."""

    def __enter__(self) -> "MuteLog":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def step(self) -> None:
        pass

    def say(self, line: str) -> None:
        pass

    def write(self, step: int, group: str, values: dict[str, float]) -> None:
        pass

    def audio(self, step: int, name: str, waveform: Float[Tensor, " time"], sample_rate: int) -> None:
        pass


def spectrogram_picture(waveform: Float[Tensor, " time"]) -> Float[Tensor, "1 height width"]:
    """Grey picture of the log-magnitude spectrogram over 80 dB, low frequencies at the bottom, values in [0, 1]."""
    import torch

    window = torch.hann_window(1024, device=waveform.device)
    spectrum = torch.stft(waveform, 1024, 256, window=window, return_complex=True, pad_mode="constant").abs()
    db = 20 * spectrum.clamp(min=1e-5).log10()
    return ((db - db.max() + 80) / 80).clamp(0, 1).flip(0)[None]


def _step_of(line: str) -> float:
    """Step of a log line; a half-written one counts as the last of all."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _summary_writer(folder: Path, start: int) -> Any | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    first_hidden = start + 1  # step `start` is not done again
    return SummaryWriter(str(folder), purge_step=first_hidden)
