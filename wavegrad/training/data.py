"""The corpus in memory, and crops of it on frame borders as a pure function of (seed, step)."""

import hashlib
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int16
from torch import Tensor

from wavegrad.audio.io import read_audio
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.mel_check import check_mel
from wavegrad.audio.mel_file import read_mel
from wavegrad.errors import AudioError, TrainingError
from wavegrad.shapes import Mask, Mel
from wavegrad.suffixes import AUDIO, MELS, files_below
from wavegrad.training.bank import ClipBank, MelBank, to_device
from wavegrad.training.clip_mels import LEAST, at_gain, check_gain, raw_mels
from wavegrad.training.recipe import DataRecipe

END, END_FRAMES = 4096, 16
"""Samples of a clip, at its beginning and at its end, and first frames of its mel that count for a fingerprint."""


@dataclass(frozen=True)
class Clip:
    """One recording: `name` is its path below the corpus, `pcm` 16-bit samples at the rate of the mel."""

    name: str
    pcm: Int16[Tensor, " time"]
    mel: Float[Tensor, "n_mels frames"] | None = None
    """The mel to train on where it is not the recording's own: what an acoustic model predicts, for instance."""


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
    mels: Mel | None = None
    """The mels of the windows, context and gain included, where they are not to be computed from the windows."""

    def with_share(self, share: float) -> "Crops":
        """The same crops with another weight."""
        return replace(self, share=share)


def find_clips(folder: Path) -> list[Path]:
    """Audio files below `folder`, sorted by path."""
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder; pass the folder that holds the audio files")
    return files_below(folder, AUDIO)


def load_corpus(
    paths: Iterable[Path],
    root: Path,
    mel: MelConfig,
    recipe: DataRecipe,
    report: Callable[[str], None],
    mels: Path | None = None,
) -> list[Clip]:
    """Read the clips; what cannot be used is reported by name and skipped.

    Args:
        paths: audio files below `root`.
        root: the names of the clips are relative to it.
        mel: the front-end.
        recipe: what is too short or too quiet.
        report: where messages go.
        mels: folder of the mels to train on, NAME.npy or NAME.pt for each clip NAME.wav; left out, the recordings' own.

    Raises:
        TrainingError: no clip is left.
    """
    clips: list[Clip] = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                waveform, _ = read_audio(path, mel.sample_rate)
        except AudioError as error:
            report(f"skipped {name}: {error}")
            continue
        for warning in caught:
            report(f"{warning.message}; what is left of it is used")
        why = why_unusable(waveform, mel.sample_rate, recipe)
        if why is not None:
            report(f"skipped {name}: {why}")
        else:
            pcm = (waveform.clamp(-1, 1) * 32767).round().to(torch.int16)
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    clips.append(Clip(name, pcm, None if mels is None else mel_of_clip(mels, name, len(pcm), mel)))
            except AudioError as error:
                report(f"skipped {name}: {error}")
            for warning in caught:
                report(f"{name}: {warning.message}")
    if not clips:
        raise TrainingError(f"no usable audio file is left in {root}; the lines above say why each one was skipped")
    return clips


def why_unusable(waveform: Float[Tensor, " time"], sample_rate: int, recipe: DataRecipe) -> str | None:
    """What is wrong with a clip, too short or too quiet; None where nothing is."""
    seconds = len(waveform) / sample_rate
    if seconds < recipe.min_seconds or not len(waveform):
        return f"{seconds:.3f} s is shorter than min_seconds = {recipe.min_seconds}"
    peak_db = 20 * math.log10(max(waveform.abs().max().item(), 1e-9))
    if peak_db < recipe.silence_db:
        return f"silent (peak {peak_db:.0f} dBFS, below silence_db = {recipe.silence_db})"
    return None


def mel_of_clip(folder: Path, name: str, n_samples: int, config: MelConfig) -> Float[Tensor, "n_mels frames"]:
    """The mel that belongs to a clip, with exactly the frames that the clip's samples fill.

    Front-ends count the last, partial frame differently: one frame too few or too many is mended.

    Raises:
        AudioError: there is none, it cannot be read, its length is another, or the front-end cannot have made it.

    Warns:
        MelWarning: the front-end hardly made it.
    """
    stem = folder / Path(name).with_suffix("")
    path = next((p for suffix in MELS if (p := stem.with_name(stem.name + suffix)).exists()), None)
    if path is None:
        raise AudioError(f"there is no {stem}.npy or .pt")
    mel = read_mel(path, config.n_mels)
    check_mel(mel, config)
    n_frames = math.ceil(n_samples / config.hop_length)
    if abs(mel.shape[1] - n_frames) > 1:
        raise AudioError(
            f"{path} has {mel.shape[1]} frames; {n_samples} samples with hop length {config.hop_length} make {n_frames}"
        )
    return F.pad(mel, (0, max(0, n_frames - mel.shape[1])), mode="replicate")[:, :n_frames]


def hold_out(paths: list[Path], root: Path, n_valid: int) -> tuple[list[Path], list[Path]]:
    """Split into (train, valid) by a hash of the names, so that a clip keeps its side when others come or go."""
    if n_valid < 1:
        raise TrainingError("data.valid_clips is 0: nothing is held out to validate on; pass --valid DIR or raise it")
    if len(paths) == 1:
        raise TrainingError(f"{root} has 1 clip, of which none can be held out; pass --valid DIR")
    names = {p: p.relative_to(root).as_posix().encode(errors="surrogateescape") for p in paths}
    by_hash = sorted(paths, key=lambda p: hashlib.sha256(names[p]).digest())
    if len(paths) < 2 * n_valid:
        raise TrainingError(
            f"{root} has {len(paths)} clips, too few to hold out {n_valid}; pass --valid DIR, or lower "
            f"data.valid_clips to {len(paths) // 2} or less"
        )
    return sorted(by_hash[n_valid:]), sorted(by_hash[:n_valid])


def fingerprint(clips: Iterable[Clip]) -> str:
    """Of the names, the lengths and both ends of clips, and of the mels that they came with: with the same one, the
    crops of a step are the same."""
    digest = hashlib.sha256()
    for clip in clips:
        digest.update(f"{clip.name} {len(clip.pcm)}\n".encode())
        ends = [clip.pcm[:END], clip.pcm[-END:], *([] if clip.mel is None else [clip.mel[:, :END_FRAMES]])]
        for end in ends:
            digest.update(end.contiguous().numpy().tobytes())
    return digest.hexdigest()


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
        whole_mels: bool = False,
    ):
        self.clips = clips
        self.mel_config = mel
        self.recipe = recipe
        self.seed = seed
        self.hop = mel.hop_length
        self.context = context_samples(mel)
        self._n_samples = recipe.crop_frames * self.hop
        self._bank = ClipBank([c.pcm for c in clips], self._n_samples + self.context, device)
        self._mels = _mel_bank(clips, mel, recipe.crop_frames + self.context // self.hop, device)
        self._raw_mels = None
        if whole_mels and self._mels is None:
            check_gain(mel, recipe.gain_db)
            raw = raw_mels([c.pcm for c in clips], mel, self.context, device)
            self._raw_mels = MelBank(raw, recipe.crop_frames, math.log(LEAST), device)
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
        begins, length = starts[chosen] - self.context, self._n_samples + 2 * self.context
        windows = self._bank.windows(clips[chosen], begins, length)
        gains, mels = gains_of(windows, gains_db[chosen]), None
        if self._mels is not None:
            gains = torch.ones_like(gains)
            mels = self._mels.windows(clips[chosen], begins // self.hop + 1, length // self.hop)
        elif self._raw_mels is not None:  # its first frame is `context` samples before the clip
            raw = self._raw_mels.windows(clips[chosen], starts[chosen] // self.hop, length // self.hop)
            mels = at_gain(raw, gains, self.mel_config)
        return Crops(
            tuple(self.clips[i].name for i in clips[chosen]),
            windows,
            torch.arange(self._n_samples, device=windows.device)
            < to_device(torch.from_numpy(counted[chosen]), windows.device)[:, None],
            gains,
            float(counted[chosen].sum() / max(1, counted.sum())),
            mels,
        )


def _mel_bank(clips: list[Clip], config: MelConfig, gap: int, device: torch.device) -> MelBank | None:
    """The mels that the clips came with; None where they came without.

    Each has its first and its last frame twice: a whitened segment depends on the gains of the next one, and were that
    silence, the noise floor of a recording would become a hundred times as loud where it begins and ends.
    """
    mels = [F.pad(c.mel, (1, 1), mode="replicate").transpose(0, 1).float() for c in clips if c.mel is not None]
    if not mels:
        return None
    if len(mels) < len(clips):
        raise TrainingError(
            f"{len(clips) - len(mels)} of {len(clips)} clips come without a mel; either all have one or none"
        )
    return MelBank(mels, gap, config.minimum, device)


def gains_of(windows: Float[Tensor, "batch window"], gains_db: np.ndarray) -> Float[Tensor, " batch"]:
    """The gains asked for, as factors, but none that would take a sample out of [-1, 1]."""
    wanted = to_device(torch.from_numpy(10 ** (gains_db / 20)).float(), windows.device)
    return wanted.minimum(1 / windows.abs().amax(1).clamp(min=1e-5))
