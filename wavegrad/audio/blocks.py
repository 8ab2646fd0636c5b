"""Audio files of any length, read block by block."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.io import AudioWarning, check_is_file, is_cut_riff, unreadable
from wavegrad.errors import AudioError

BLOCK_S = 5.0
"""Seconds that are read at once."""


def read_blocks(path: str | Path, sample_rate: int) -> Iterator[Float[Tensor, " _"]]:
    """What `read_audio` reads, in blocks of a few seconds that together are the same waveform, to rounding.

    Args:
        sample_rate: Hz to resample to (soxr, "VHQ").

    Raises:
        AudioError: as `read_audio`, where the reading meets the fault.

    Warns:
        AudioWarning: the file was cut off; what is left of it is read.
    """
    check_is_file(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, n_promised, n_read, n_made = file.samplerate, file.frames, 0, 0
            resampler = None if rate == sample_rate else soxr.ResampleStream(rate, sample_rate, 1, quality="VHQ")
            while True:
                channels = file.read(round(BLOCK_S * rate), dtype="float32", always_2d=True)
                mono = _mono(channels, n_read, path)
                n_read += len(channels)
                last = not len(channels)
                made = mono if resampler is None else resampler.resample_chunk(mono, last)
                n_made += len(made)
                if len(made):
                    yield torch.from_numpy(made)
                if last:
                    break
    except soundfile.LibsndfileError as error:
        raise unreadable(path, error) from error
    if n_read < n_promised or is_cut_riff(path):
        warnings.warn(f"{path}: ends earlier than its header says; it was cut off", AudioWarning, stacklevel=2)
    if not n_made:
        raise AudioError(f"{path}: has no samples at {sample_rate} Hz")


def _mono(channels: np.ndarray, n_before: int, path: str | Path) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(channels).all(axis=1))
    if len(bad):
        raise AudioError(f"{path}: samples are NaN or infinite, the first is {n_before + bad[0]}")
    return channels.mean(axis=1, dtype=np.float64).astype(np.float32)
