"""Mel spectrograms in files."""

import os
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import AudioError


def read_mel(path: Path, n_mels: int) -> Float[Tensor, "n_mels frames"]:
    """A mel of shape (n_mels, frames) or (1, n_mels, frames) from a .npy or .pt file; nothing in it is run.

    Raises:
        AudioError: unreadable, of another shape (with a hint when time comes first), or no real numbers.
    """
    mel = _read_tensor(path, f"({n_mels}, frames)")
    shape = tuple(mel.shape)
    if mel.dim() == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.dim() != 2 or mel.shape[0] != n_mels:
        hint = "; time comes first in it: transpose it" if len(shape) > 1 and shape[-1] == n_mels else ""
        raise AudioError(f"{path} has shape {shape}; ({n_mels}, frames) is expected{hint}")
    return mel.float()


def read_any_mel(path: Path) -> Float[Tensor, "rows columns"]:
    """A mel with any number of bands, either axis first; otherwise as `read_mel`."""
    mel = _read_tensor(path, "(n_mels, frames)")
    if mel.dim() == 3 and mel.shape[0] == 1:
        mel = mel[0]
    if mel.dim() != 2 or mel.numel() == 0:
        raise AudioError(f"{path} has shape {tuple(mel.shape)}; (n_mels, frames) is expected")
    return mel.float()


def _read_tensor(path: Path, expected: str) -> Tensor:
    try:
        if path.suffix.lower() == ".npy":
            mel = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            mel = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise AudioError(f"{path} cannot be read as a mel spectrogram: {reason}") from error
    if not isinstance(mel, Tensor):
        raise AudioError(f"{path} holds a {type(mel).__name__}; a tensor of shape {expected} is expected")
    if mel.is_complex():
        raise AudioError(f"{path} holds complex numbers; a mel has real ones")
    return mel


def write_mel(path: Path, mel: Float[Tensor, "n_mels frames"]) -> None:
    """Write float32 .npy, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            np.save(file, mel.cpu().float().numpy())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
