"""Audio files: any format that libsndfile knows is read, to mono at any rate; WAV and FLAC are written."""

import io
import os
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad import atomic
from wavegrad.errors import AudioError

Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
FORMATS = {".wav": "WAV", ".flac": "FLAC"}
"""What can be written, by suffix."""


class AudioWarning(UserWarning):
    """Something was done to the audio that can be heard."""


class AudioInfo(NamedTuple):
    """What a file's header says."""

    sample_rate: int
    """Hz."""
    n_samples: int
    """Per channel."""
    channels: int


def audio_info(path: str | Path) -> AudioInfo:
    """Rate, length and channels of a file, without reading its samples. AudioError if it is no readable audio."""
    check_is_file(path)
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise unreadable(path, error) from error
    return AudioInfo(info.samplerate, info.frames, info.channels)


def read_audio(path: str | Path, sample_rate: int | None = None) -> tuple[Float[Tensor, " time"], int]:
    """Read a file as mono (the mean of its channels), float32, full scale = 1.

    Args:
        sample_rate: Hz to resample to, band-limited (soxr, "VHQ"); None keeps the file's.

    Returns:
        The waveform and its sample rate. Values beyond [-1, 1] in float files, or made by resampling, stay as they are.

    Raises:
        AudioError: the file is missing, no audio, empty, or has samples that are NaN or infinite.

    Warns:
        AudioWarning: the file was cut off; what is left of it is read.
    """
    check_is_file(path)
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, n_promised = file.samplerate, file.frames
            channels = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise unreadable(path, error) from error
    if len(channels) < n_promised or is_cut_riff(path):
        warnings.warn(f"{path}: ends earlier than its header says; it was cut off", AudioWarning, stacklevel=2)
    bad = np.flatnonzero(~np.isfinite(channels).all(axis=1))
    if len(bad):
        raise AudioError(f"{path}: {len(bad)} of {len(channels)} samples are NaN or infinite, the first is {bad[0]}")
    mono = channels.mean(axis=1, dtype=np.float64).astype(np.float32)
    if sample_rate is not None and sample_rate != rate:
        mono = soxr.resample(mono, rate, sample_rate, quality="VHQ")
        rate = sample_rate
    if not len(mono):
        raise AudioError(f"{path}: has no samples at {rate} Hz")
    return torch.from_numpy(mono), rate


def write_audio(path: str | Path, waveform: Float[Tensor, "..."], sample_rate: int, subtype: Subtype = "PCM_16") -> int:
    """Write a mono WAV or FLAC file; readers see the old file or the whole new one.

    PCM rounds to the nearest of its levels, k / 2^15 or k / 2^23, so that what was read is written back bit for bit;
    samples outside [-1, 1] are clipped, with an AudioWarning. FLOAT (WAV only) keeps every value.

    Args:
        waveform: `time`.
        sample_rate: Hz.

    Returns:
        How many samples were clipped.

    Raises:
        AudioError: the suffix is not .wav or .flac, the waveform is not mono, samples are NaN or infinite, or the file
            cannot be written.
    """
    path = Path(path)
    check_target(path, subtype)
    if waveform.dim() != 1:
        raise AudioError(
            f"{path}: not written, a mono waveform has one axis; this one has shape {tuple(waveform.shape)}"
        )
    samples = waveform.detach().cpu().double().numpy()
    if not np.isfinite(samples).all():
        raise AudioError(
            f"{path}: not written, {np.sum(~np.isfinite(samples))} of {len(samples)} samples are NaN or infinite"
        )
    n_clipped = 0 if subtype == "FLOAT" else int(np.sum(np.abs(samples) > 1))
    if n_clipped:
        peak = 20 * np.log10(np.abs(samples).max())
        warnings.warn(
            f"{path}: {n_clipped} of {len(samples)} samples clipped, the peak is {peak:.1f} dB above full scale",
            AudioWarning,
            stacklevel=2,
        )
    encoded = io.BytesIO()
    soundfile.write(encoded, quantised(samples, subtype), sample_rate, subtype, format=FORMATS[path.suffix.lower()])
    try:
        atomic.write_bytes(path, encoded.getvalue())
    except OSError as error:
        raise AudioError(f"{path}: cannot be written: {error.strerror}") from error
    return n_clipped


def check_target(path: Path, subtype: Subtype) -> None:
    """AudioError unless a file of this name and sample format can be written."""
    if path.suffix.lower() not in FORMATS:
        raise AudioError(f"{path}: audio is written as {' or '.join(FORMATS)}, by suffix")
    if subtype == "FLOAT" and path.suffix.lower() == ".flac":
        raise AudioError(f"{path}: FLAC cannot hold FLOAT samples; use PCM_16 or PCM_24, or a .wav file")


def quantised(samples: np.ndarray, subtype: Subtype) -> np.ndarray:
    """What libsndfile stores without a change; its own conversion would scale by 32767 / 32768."""
    if subtype == "FLOAT":
        return samples.astype(np.float32)
    bits = {"PCM_16": 16, "PCM_24": 24}[subtype]
    full_scale = 2 ** (bits - 1)
    levels = np.clip(np.rint(samples * full_scale), -full_scale, full_scale - 1).astype(np.int32)
    return levels << (32 - bits)


def check_is_file(path: str | Path) -> None:
    """AudioError unless there is such a file, may be read, and has a name that can be written into reports."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise AudioError(f"{str(path)!a}: its name is no UTF-8; rename it") from error
    if not Path(path).is_file():
        raise AudioError(f"{path}: is not a file" if Path(path).exists() else f"{path}: does not exist")
    if not os.access(path, os.R_OK):  # libsndfile would say "System error"
        raise AudioError(f"{path}: you may not read it; change its permissions")


def unreadable(path: str | Path, error: soundfile.LibsndfileError) -> AudioError:
    return AudioError(f"{path}: cannot be read as audio: {error.error_string}")


def is_cut_riff(path: str | Path) -> bool:
    """Whether a WAV file is shorter than its header says, which libsndfile passes over.

    Streams have a size near 2^31 or 2^32 for want of a better one, and many writers forget the last padding byte.
    """
    with open(path, "rb") as file:
        header = file.read(8)
    size = int.from_bytes(header[4:], "little") + 8
    return header[:4] == b"RIFF" and size < 0x7FFF0000 and size > os.path.getsize(path) + 1
