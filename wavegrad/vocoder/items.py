"""The items of a batch: a seed, a length and an end for each."""

import operator
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.lapped import Coefficients
from wavegrad.audio.mel_check import tensor_of
from wavegrad.audio.prior import colour
from wavegrad.errors import AudioError, ConfigError, WavegradError
from wavegrad.shapes import Waveform


def _whole(name: str, given: object, error: type[WavegradError]) -> int | list[int]:
    """Integers of any kind as Python's; the error if one is none."""
    try:
        return [operator.index(one) for one in given] if isinstance(given, Iterable) else operator.index(given)  # type: ignore[arg-type]
    except TypeError:
        raise error(f"{name} is {given!r}; pass a whole number, or one for each mel") from None


def item_seeds(seed: int | Sequence[int], n_items: int) -> list[int]:
    """seed + i, or seed[i], of each item; ConfigError if they are not as many, or no integers of any kind."""
    given = _whole("seed", seed, ConfigError)
    seeds = [given + i for i in range(n_items)] if isinstance(given, int) else given
    if len(seeds) != n_items:
        raise ConfigError(f"{len(seeds)} seeds for {n_items} mels; pass one for each, or a single number")
    return seeds


def item_frames(frames: Sequence[int] | None, n_items: int, n_frames: int) -> list[int]:
    """Frames of each item: all of the batch's where none are given; AudioError if they cannot be."""
    if frames is None:
        return [n_frames] * n_items
    given = _whole("frames", frames, AudioError)
    if not isinstance(given, list) or len(given) != n_items or min(given) < 1 or max(given) > n_frames:
        raise AudioError(f"frames {given}: one number for each of {n_items} items is expected, 1 to {n_frames}")
    return given


def item_lengths(length: int | Sequence[int] | None, n_items: int, n_samples: int) -> list[int]:
    """Samples to keep of each item: what its frames make where none are given; AudioError if there are not as many."""
    if length is None:
        return [n_samples] * n_items
    given = _whole("length", length, AudioError)
    lengths = [given] * n_items if isinstance(given, int) else given
    if len(lengths) != n_items:
        raise AudioError(f"{len(lengths)} lengths for {n_items} mels; pass one for each, or a single number")
    if min(lengths) < 1 or max(lengths) > n_samples:
        raise AudioError(f"length {length} is not between 1 and the {n_samples} samples that the mel gives")
    return lengths


def hold_last_frame(mel: Tensor, n_frames: int) -> Tensor:
    """Repeat the last frame: what is beyond the end does not matter, but should look like a mel."""
    return F.pad(mel[None], (0, n_frames - mel.shape[1]), mode="replicate")[0]


def colour_items(y_0: Waveform, gains: Coefficients | None, frames: list[int]) -> Waveform:
    """`colour`, each item for itself where they end at different frames: the lapped transform sees their ends."""
    if gains is None or min(frames) == gains.shape[1]:
        return colour(y_0, gains)
    out = torch.zeros_like(y_0)
    for i, n in enumerate(frames):
        n_samples = n * gains.shape[2]
        out[i : i + 1, :n_samples] = colour(y_0[i : i + 1, :n_samples], gains[i : i + 1, :n])
    return out


def crop_items(waveform: Waveform, lengths: list[int]) -> Float[Tensor, "batch longest"]:
    """As long as the longest item; the shorter ones end in zeros."""
    time = torch.arange(max(lengths), device=waveform.device)
    inside = time < torch.tensor(lengths, device=waveform.device)[:, None]
    return waveform[:, : max(lengths)].where(inside, 0.0)


def batch_of_waveforms(waveform: object) -> Tensor:
    """`time` or `batch time` -> `batch time`; AudioError for what is no waveform, empty or not finite."""
    waveform = tensor_of(waveform, "a waveform")
    if waveform.dim() not in (1, 2) or not waveform.is_floating_point():
        raise AudioError(
            f"a waveform is `time` or `batch time` of floats; got {waveform.dtype}, {tuple(waveform.shape)}"
        )
    if waveform.numel() == 0:
        raise AudioError(f"the waveform is empty: {tuple(waveform.shape)}")
    if not torch.isfinite(waveform).all():
        raise AudioError("the waveform has values that are not finite")
    return waveform if waveform.dim() == 2 else waveform[None]
