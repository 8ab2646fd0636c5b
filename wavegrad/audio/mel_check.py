"""Could the front-end of a model have made this mel?"""

import math
import warnings
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig
from wavegrad.errors import AudioError

SUSPECT_DB = 3.0
"""A mel that leaves the range of the front-end by more is warned about; an acoustic model's small overshoots pass."""
IMPOSSIBLE_DB = 20.0
"""A mel that leaves it by more is in another convention, and is refused."""
FLAT_DB = 12.0
"""Sounds have more contrast than this between their loudest and their quietest value ..."""
FLAT_FRAMES = 20
"""... in a mel of this many frames or more."""
HINT = "make mels with Vocoder.mel, or with the front-end of Vocoder.mel_config"


class MelWarning(UserWarning):
    """A mel that hardly comes from the model's front-end; the audio will probably be wrong."""


def tensor_of(value: object, what: str) -> Tensor:
    """The value as it is; AudioError for something else than a tensor."""
    if not isinstance(value, Tensor):
        hint = f": torch.from_numpy({what.split()[-1]})" if type(value).__module__ == "numpy" else ""
        raise AudioError(f"{what} is a {type(value).__name__}; pass tensors{hint}")
    return value


def check_mel(mel: object, config: MelConfig) -> None:
    """Refuse a mel that cannot come from the front-end, and warn about one that hardly does.

    Not every foreign convention can be told from its values: natural and decimal logarithms overlap, for example.

    Args:
        mel: `batch n_mels frames` or `n_mels frames`.
        config: the front-end.

    Raises:
        AudioError: no tensor, wrong number of axes or bands, empty, not floats, without values ("meta"), not finite, or
            values far beyond those of the front-end.

    Warns:
        MelWarning: values beyond those of the front-end, or without contrast.
    """
    mel = tensor_of(mel, "a mel")
    _check_shape(mel, config)
    _check_range(_range(mel, 0), mel.shape[-1], config)


def check_mel_blocks(blocks: Iterable[Float[Tensor, "n_mels _"]], config: MelConfig) -> None:
    """`check_mel` of a mel that comes in pieces: what is refused and warned about is the same."""
    n_frames, low, high = 0, math.inf, -math.inf
    for block in blocks:
        _check_shape(block, config)
        least, most = _range(block, n_frames)
        n_frames, low, high = n_frames + block.shape[1], min(low, least), max(high, most)
    if not n_frames:
        raise AudioError(f"the mel is empty: {(config.n_mels, 0)}")
    _check_range((low, high), n_frames, config)


def _range(mel: Tensor, n_frames_before: int) -> tuple[float, float]:
    """The least and the greatest value, all of which must be finite."""
    finite = torch.isfinite(mel)
    if not finite.all():
        where = tuple((~finite).nonzero()[0].tolist())
        place = (*where[:-1], where[-1] + n_frames_before)
        raise AudioError(
            f"{int((~finite).sum())} of the {mel.numel()} mel values are not finite; "
            f"the first is {mel[where].item()} at {place}"
        )
    return mel.min().item(), mel.max().item()


def _check_range(ends: tuple[float, float], n_frames: int, config: MelConfig) -> None:
    low, high = ends
    per_db = units_per_db(config)
    outside_db = max(config.minimum - low, high - config.maximum_plausible) / per_db
    values = (
        f"mel values run from {low:.4g} to {high:.4g}; those of the model's front-end lie between "
        f"{config.minimum:.4g} (silence) and {config.maximum_plausible:.4g} (full scale)"
    )
    if outside_db > IMPOSSIBLE_DB:
        raise AudioError(f"{values}: this mel is in another convention; {HINT}")
    if outside_db > SUSPECT_DB:
        warnings.warn(f"{values}: {outside_db:.0f} dB outside; {HINT}", MelWarning, stacklevel=4)
    is_quiet = high - config.minimum < FLAT_DB * per_db
    if high - low < FLAT_DB * per_db and n_frames >= FLAT_FRAMES and not is_quiet:
        warnings.warn(
            f"{values}: without contrast, as of a mel scaled in another way; {HINT}", MelWarning, stacklevel=4
        )


def units_per_db(config: MelConfig) -> float:
    """What one decibel adds to a mel value."""
    per_db = {"ln": config.power * math.log(10) / 20, "log10": config.power / 20, "db": 1.0}[config.log]
    return per_db * config.scale


def _check_shape(mel: Tensor, config: MelConfig) -> None:
    shape = tuple(mel.shape)
    if mel.is_meta:
        raise AudioError(
            f"the mel of shape {shape} is on the device 'meta', without values; pass one on 'cpu' or 'cuda'"
        )
    if mel.dim() not in (2, 3) or not mel.is_floating_point():
        raise AudioError(f"a mel is `n_mels frames` or `batch n_mels frames` of floats; got {mel.dtype}, {shape}")
    if mel.numel() == 0:
        raise AudioError(f"the mel is empty: {shape}")
    if shape[-2] != config.n_mels:
        hint = "; it seems transposed: pass mel.mT" if shape[-1] == config.n_mels else f"; {HINT}"
        raise AudioError(f"the mel has {shape[-2]} bands (shape {shape}), the model reads {config.n_mels}{hint}")
