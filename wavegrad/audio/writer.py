"""Audio files written block by block."""

import errno
import os
import warnings
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
from jaxtyping import Float
from torch import Tensor

from wavegrad import atomic
from wavegrad.audio.io import FORMATS, AudioWarning, Subtype, check_target, quantised
from wavegrad.errors import AudioError


class AudioWriter:
    """A mono WAV or FLAC file that grows; readers see the old file until the new one is closed.

    A context. Left by an interruption (Ctrl-C, or any other exception that is no `Exception`), it keeps what was
    written: a valid, shorter file. Left by an error it leaves nothing new behind. The samples become those that
    `write_audio` writes.

    Args:
        path: ends in .wav or .flac.
        sample_rate: Hz.

    Raises:
        AudioError: as `write_audio`, where the fault shows.

    Warns:
        AudioWarning: on leaving, where samples were clipped.
    """

    def __init__(self, path: str | Path, sample_rate: int, subtype: Subtype = "PCM_16"):
        self.path = Path(path)
        self.sample_rate = sample_rate
        self.subtype: Subtype = subtype
        self.n_samples = 0
        """Written so far."""
        self.n_clipped = 0
        """Of them, outside [-1, 1] in a format that cannot hold them."""
        self.peak = 0.0
        check_target(self.path, subtype)
        self._temporary = atomic.temporary_name(self.path)
        self._format = FORMATS[self.path.suffix.lower()]
        try:
            self._file = soundfile.SoundFile(str(self._temporary), "w", sample_rate, 1, subtype, format=self._format)
        except soundfile.LibsndfileError as error:
            cause = _reason(self._temporary) or error
            self._temporary.unlink(missing_ok=True)
            raise self._unwritable(cause) from cause

    def write(self, waveform: Float[Tensor, " time"]) -> None:
        """Append samples."""
        samples = waveform.detach().cpu().double().numpy()
        if not np.isfinite(samples).all():
            raise AudioError(f"{self.path}: not written, samples from {self.n_samples} on are NaN or infinite")
        if self.subtype != "FLOAT":
            self.n_clipped += int(np.sum(np.abs(samples) > 1))
            self.peak = max(self.peak, np.abs(samples).max(initial=0.0))
        try:
            self._file.write(quantised(samples, self.subtype))
        except soundfile.LibsndfileError as error:
            cause = _reason(self._temporary) or error
            raise self._unwritable(cause) from cause
        self.n_samples += len(samples)

    def __enter__(self) -> "AudioWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if kind is None or (self.n_samples and not issubclass(kind, Exception)):
                self._check_whole()
                os.replace(self._temporary, self.path)
        except (soundfile.LibsndfileError, OSError) as fault:
            cause = fault if isinstance(fault, OSError) else _reason(self._temporary) or fault
            raise self._unwritable(cause) from cause
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and self.n_clipped:
            warnings.warn(
                f"{self.path}: {self.n_clipped} of {self.n_samples} samples clipped, the peak is "
                f"{20 * np.log10(self.peak):.1f} dB above full scale",
                AudioWarning,
                stacklevel=2,
            )

    def _check_whole(self) -> None:
        """libsndfile does not notice that the last frame of a FLAC file could not be written."""
        if soundfile.info(str(self._temporary)).frames != self.n_samples:
            raise _reason(self._temporary) or OSError(errno.EIO, "its end is missing")

    def _unwritable(self, cause: soundfile.LibsndfileError | OSError) -> AudioError:
        reason = cause.strerror if isinstance(cause, OSError) else cause.error_string
        return AudioError(f"{self.path}: cannot be written: {reason}")


def _reason(path: Path) -> OSError | None:
    """Why a file cannot grow, which libsndfile does not tell; None if it can. (Given a Python file, libsndfile would
    lose a Ctrl-C in its methods.)"""
    try:
        with path.open("ab", buffering=0) as file:
            file.write(bytes(2**16))
    except OSError as fault:
        return fault
    return None
