"""Mel spectrograms in files."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad import atomic
from wavegrad.errors import AudioError

BLOCK_FRAMES = 1024
"""Frames that `read_mel_blocks` reads at once."""

T = TypeVar("T")


def read_mel(path: Path, n_mels: int) -> Float[Tensor, "n_mels frames"]:
    """A mel of shape (n_mels, frames) or (1, n_mels, frames) from a .npy or .pt file; nothing in it is run.

    Raises:
        AudioError: unreadable, of another shape (with a hint when time comes first), or no real numbers.
    """
    return _floats(path, _open_mel(path, n_mels))


def read_mel_blocks(path: Path, n_mels: int) -> Iterator[Float[Tensor, "n_mels _"]]:
    """What `read_mel` reads, in blocks of frames. No more than a block is in memory, except that a .pt file as PyTorch
    wrote them before 1.6 is read as a whole.

    Raises:
        AudioError: as `read_mel`, before the first block.
    """
    mel, is_mapped = _open_mel(path, n_mels), _can_be_mapped(path)
    for start in range(0, mel.shape[1], BLOCK_FRAMES):
        if is_mapped:
            mel = _open_mel(path, n_mels)  # what is read of a mapping stays in memory for as long as it is mapped
        yield _floats(path, mel[:, start : start + BLOCK_FRAMES])


def count_frames(path: Path, n_mels: int) -> int:
    """The length of the mel that `read_mel` reads, from the header alone of all but old .pt files. AudioError as
    there."""
    return _open_mel(path, n_mels).shape[1]


def read_any_mel(path: Path) -> Float[Tensor, "rows columns"]:
    """A mel with any number of bands, either axis first; otherwise as `read_mel`."""
    mel = _without_batch(_open(path, "(n_mels, frames)"))
    if mel.ndim != 2 or 0 in mel.shape:
        raise AudioError(f"{path} has shape {tuple(mel.shape)}; (n_mels, frames) is expected")
    return _floats(path, mel)


def _open_mel(path: Path, n_mels: int) -> "np.ndarray | Tensor":
    """`n_mels frames` of any kind of number; see `_open`."""
    opened = _open(path, f"({n_mels}, frames)")
    mel = _without_batch(opened)
    if mel.ndim != 2 or mel.shape[0] != n_mels:
        shape = tuple(opened.shape)
        hint = "; time comes first in it: transpose it" if len(shape) > 1 and shape[-1] == n_mels else ""
        raise AudioError(f"{path} has shape {shape}; ({n_mels}, frames) is expected{hint}")
    return mel


def _open(path: Path, expected: str) -> "np.ndarray | Tensor":
    """A mapped array or tensor, of which nothing is in memory yet; or a tensor of an old .pt file."""
    if _is_array(path):
        mel = _attempt(path, lambda: np.load(path, mmap_mode="r", allow_pickle=False))
    else:
        mapped = _can_be_mapped(path)
        mel = _attempt(path, lambda: torch.load(path, map_location="cpu", weights_only=True, mmap=mapped))
    if not isinstance(mel, Tensor | np.ndarray):
        raise AudioError(f"{path} holds a {type(mel).__name__}; a tensor of shape {expected} is expected")
    return mel


def _is_array(path: Path) -> bool:
    return path.suffix.lower() == ".npy"


def _can_be_mapped(path: Path) -> bool:
    """An array, or an archive such as PyTorch writes since 1.6."""
    if _is_array(path):
        return True
    with contextlib.suppress(OSError), path.open("rb") as file:  # whoever opens it again will say what is wrong
        return file.read(4) == b"PK\x03\x04"
    return False


def _without_batch(mel: "np.ndarray | Tensor") -> "np.ndarray | Tensor":
    return mel[0] if mel.ndim == 3 and mel.shape[0] == 1 else mel


def _floats(path: Path, mel: "np.ndarray | Tensor") -> Tensor:
    """Read now what was mapped: the file may change."""
    values = _attempt(path, mel.clone if isinstance(mel, Tensor) else lambda: torch.from_numpy(np.array(mel)))
    if values.is_complex():
        raise AudioError(f"{path} holds complex numbers; a mel has real ones")
    return values.float()


def _attempt(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise AudioError(f"{path} cannot be read as a mel spectrogram: {reason}") from error


def write_mel(path: Path, mel: Float[Tensor, "n_mels frames"]) -> None:
    """Write float32 .npy, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, mel.cpu().float().numpy())
