"""The corpus in memory, and crops of it on frame borders as a pure function of (seed, step)."""

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor

from wavegrad.audio.io import read_audio
from wavegrad.audio.mel import MelConfig
from wavegrad.errors import AudioError, TrainingError
from wavegrad.shapes import Mask
from wavegrad.training.bank import ClipBank
from wavegrad.training.recipe import DataRecipe

SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64"}


@dataclass(frozen=True)
class Clip:
    """One recording: `name` is its path below the corpus, `pcm` 16-bit samples at the rate of the mel."""

    name: str
    pcm: Int16[Tensor, " time"]


@dataclass(frozen=True)
class Crops:
    """A batch of crops with `context` samples around them (zeros beyond the ends of a clip)."""

    names: tuple[str, ...]
    windows: Float[Tensor, "batch window"]
    mask: Mask
    """True where a sample of the crop (without its context) belongs to the clip."""
    gains: Float[Tensor, " batch"]
    share: float = 1.0
    """Counting samples of these crops over those of the whole step: the weight of their mean loss."""


def find_clips(folder: Path) -> list[Path]:
    """Audio files below `folder`, sorted by path."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder; pass the folder that holds the audio files")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())


def load_corpus(
    paths: Iterable[Path], root: Path, mel: MelConfig, recipe: DataRecipe, report: Callable[[str], None]
) -> list[Clip]:
    """Read the clips; what cannot be used is reported by name and skipped.

    Raises:
        TrainingError: no clip is left.
    """
    clips: list[Clip] = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            waveform, _ = read_audio(path, mel.sample_rate)
        except AudioError as error:
            report(f"skipped {name}: {error}")
            continue
        seconds = len(waveform) / mel.sample_rate
        peak_db = 20 * math.log10(max(waveform.abs().max().item(), 1e-9))
        if seconds < recipe.min_seconds:
            report(f"skipped {name}: {seconds:.3f} s is shorter than min_seconds = {recipe.min_seconds}")
        elif peak_db < recipe.silence_db:
            report(f"skipped {name}: silent (peak {peak_db:.0f} dBFS, below silence_db = {recipe.silence_db})")
        else:
            clips.append(Clip(name, (waveform.clamp(-1, 1) * 32767).round().to(torch.int16)))
    if not clips:
        raise TrainingError(f"no usable audio file is left in {root}; the lines above say why each one was skipped")
    return clips


def hold_out(paths: list[Path], root: Path, n_valid: int) -> tuple[list[Path], list[Path]]:
    """Split into (train, valid) by a hash of the names, so that a clip keeps its side when others come or go."""
    by_hash = sorted(paths, key=lambda p: hashlib.sha256(p.relative_to(root).as_posix().encode()).digest())
    if len(paths) < 2 * n_valid:
        raise TrainingError(
            f"{root} has {len(paths)} clips, too few to hold out {n_valid}; pass --valid DIR or lower data.valid_clips"
        )
    return sorted(by_hash[n_valid:]), sorted(by_hash[:n_valid])


def context_samples(mel: MelConfig) -> int:
    """Samples that a crop needs on each side so that its mel and its whitening are those of the whole clip.

    Half a window for the mel, and two segments of the lapped transform (a whitened segment depends on two
    neighbours)."""
    return (math.ceil(mel.n_fft / 2 / mel.hop_length) + 2) * mel.hop_length


class CropSampler:
    """Draws crops: every crop of the corpus is equally likely, and step `n` is the same whenever it is asked for.

    What is drawn depends on (seed, step) alone; ranks and micro-batches take their parts of it.
    """

    def __init__(
        self,
        clips: list[Clip],
        mel: MelConfig,
        recipe: DataRecipe,
        seed: int,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (a value, not a state)
    ):
        self.clips = clips
        self.recipe = recipe
        self.seed = seed
        self.hop = mel.hop_length
        self.context = context_samples(mel)
        self._n_samples = recipe.crop_frames * self.hop
        self._bank = ClipBank([c.pcm for c in clips], self._n_samples + self.context, device)
        self._ends = np.cumsum(np.maximum(1, self._bank.lengths // self.hop - recipe.crop_frames + 1))

    def draw(self, step: int, part: int = 0, n_parts: int = 1) -> Crops:
        """Part `part` of the crops of a step, on the device of the corpus."""
        rng = np.random.default_rng((self.seed, step))
        n = self.recipe.batch_size
        picks = rng.integers(self._ends[-1], size=n)
        gains_db = rng.uniform(*self.recipe.gain_db, size=n)
        clips = np.searchsorted(self._ends, picks, side="right")
        starts = (picks - np.concatenate(([0], self._ends))[clips]) * self.hop
        counted = np.clip(self._bank.lengths[clips] - starts, 0, self._n_samples)
        chosen = slice(part * n // n_parts, (part + 1) * n // n_parts)
        windows = self._bank.windows(clips[chosen], starts[chosen] - self.context, self._n_samples + 2 * self.context)
        return Crops(
            tuple(self.clips[i].name for i in clips[chosen]),
            windows,
            torch.arange(self._n_samples) < torch.from_numpy(counted[chosen])[:, None],
            _gains(windows, gains_db[chosen]),
            float(counted[chosen].sum() / max(1, counted.sum())),
        )


def _gains(windows: Float[Tensor, "batch window"], gains_db: np.ndarray) -> Float[Tensor, " batch"]:
    """The gains asked for, as factors, but none that would take a sample out of [-1, 1]."""
    wanted = torch.from_numpy(10 ** (gains_db / 20)).float().to(windows.device, non_blocking=True)
    return wanted.minimum(1 / windows.abs().amax(1).clamp(min=1e-5))
