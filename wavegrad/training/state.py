"""Checkpoints of a run: saved whole or not at all, kept few, loaded without running code."""

import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wavegrad import atomic
from wavegrad.errors import CheckpointError

FORMAT_VERSION = 4


@dataclass(frozen=True)
class TrainingState:
    """All that a run needs to go on; data and noise are functions of (seed, step), or of the place in the shards, so no
    generator state is in it."""

    step: int
    """Steps done."""
    recipe: dict[str, Any]
    network: dict[str, torch.Tensor]
    ema: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    best_loss: float
    """Lowest validation loss so far; infinity before the first validation."""
    level_losses: torch.Tensor | None = None
    """`LossHistory.losses`, of runs with importance sampling."""
    place: dict[str, Any] | None = None
    """`ShardSampler.place`, of runs on shards."""
    fingerprints: dict[str, str] | None = None
    """`Corpora.fingerprints`, to notice clips that changed."""
    precision: str | None = None
    """Of the network's arithmetic in the last step, to notice when it changes."""


def checkpoint_path(folder: Path, step: int) -> Path:
    """Name of the checkpoint after `step` steps; names sort by step."""
    return folder / f"step-{step:08d}.pt"


def save_state(state: TrainingState, folder: Path, keep: int) -> Path:
    """Write the checkpoint to a temporary file, sync it, rename it, then delete those before it but for `keep` in all.

    What is there of later steps could not be read, or the run would have gone on from it; it does not count.

    Raises:
        CheckpointError: it cannot be written; those before it stay.
    """
    path = checkpoint_path(folder, state.step)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic.clear_unfinished(folder)
        with atomic.replacing(path) as temporary, open(temporary, "wb") as file:
            torch.save({"format_version": FORMAT_VERSION, **vars(state)}, file)
            file.flush()
            os.fsync(file.fileno())
        for old in sorted(old for old in folder.glob("step-*.pt") if old.name <= path.name)[:-keep]:
            old.unlink()
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be written: {error.strerror or error}; make room, and the same command goes on from the "
            "checkpoint before it"
        ) from error
    return path


def load_state(path: Path, device: torch.device | str = "cpu") -> TrainingState:
    """Read one checkpoint.

    Raises:
        CheckpointError: the file is truncated, changed, foreign or of a newer format.
    """
    try:
        _check_sums(path)
        raw = torch.load(path, map_location=device, weights_only=True)
        version = raw.pop("format_version")
        if version > FORMAT_VERSION:
            raise CheckpointError(
                f"{path} has format {version}; this version reads up to {FORMAT_VERSION}: upgrade the package"
            )
        return TrainingState(**raw)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} cannot be read (truncated or damaged): {_first_line(error)}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is no checkpoint of a training run: {error}") from error


def _check_sums(path: Path) -> None:
    """PyTorch writes the sums of its parts, and does not look at them when it reads."""
    with zipfile.ZipFile(path) as parts:
        damaged = parts.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"the sum of {damaged} is wrong")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def load_newest(
    folder: Path, report: Callable[[str], None], device: torch.device | str = "cpu"
) -> TrainingState | None:
    """The newest checkpoint that can be read, or None where there is none.

    Raises:
        CheckpointError: there are checkpoints, and none of them can be read.
    """
    paths = sorted(folder.glob("step-*.pt"), reverse=True)
    for path in paths:
        try:
            return load_state(path, device)
        except CheckpointError as error:
            report(f"passed over: {error}")
    if paths:
        raise CheckpointError(f"none of the {len(paths)} checkpoints in {folder} can be read; choose a new run folder")
    return None
