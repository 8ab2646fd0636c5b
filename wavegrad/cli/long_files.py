"""Long files: synthesised as a stream, in memory that does not grow with them."""

import contextlib
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wavegrad.cli.files import Job, make_folder
from wavegrad.suffixes import MELS

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.vocoder import Vocoder

LONG_S = 30.0
"""Seconds of audio from which on a file is streamed."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is to end as cleanly as Ctrl-C."""


def is_long(seconds: float) -> bool:
    """Whether a file of this length is streamed."""
    return seconds > LONG_S


def seconds_of(path: Path, vocoder: "Vocoder") -> float:
    """The length of a file of audio or mel, from its header; 0 for one that cannot be read, and will be reported."""
    from wavegrad.audio.io import audio_info
    from wavegrad.audio.mel_file import count_frames
    from wavegrad.errors import AudioError

    try:
        if path.suffix.lower() in MELS:
            return count_frames(path, vocoder.n_mels) * vocoder.hop_length / vocoder.sample_rate
        info = audio_info(path)
        return info.n_samples / info.sample_rate
    except AudioError:
        return 0.0


def vocode_long(
    job: Job,
    vocoder: "Vocoder",
    stream: "Callable[[Iterable[Tensor]], Iterator[Tensor]]",
    subtype: Literal["PCM_16", "PCM_24", "FLOAT"],
    on_audio: Callable[[float], None],
) -> int:
    """Synthesise one file, and write it as far as it is done.

    Args:
        stream: mel, in pieces, to audio: `Synthesizer.stream`.
        on_audio: called with the seconds written so far.

    Returns:
        Samples written.

    Raises:
        KeyboardInterrupt: it was interrupted; the target is a valid file and holds what was done.
    """
    from wavegrad.audio.mel_check import MelWarning
    from wavegrad.audio.writer import AudioWriter

    source = _Source(job.source, vocoder)
    with _sigterm_interrupts(), warnings.catch_warnings():
        if source.check():
            warnings.simplefilter("ignore", MelWarning)  # of its chunks
        make_folder(job.target)
        with AudioWriter(job.target, vocoder.sample_rate, subtype) as writer:
            for waveform in stream(source.mel()):
                n_left = len(waveform) if source.n_samples is None else source.n_samples - writer.n_samples
                writer.write(waveform[: max(0, n_left)])
                on_audio(writer.n_samples / vocoder.sample_rate)
            return writer.n_samples


class _Source:
    """The mel of a file, and the length of its audio once that is known."""

    def __init__(self, path: Path, vocoder: "Vocoder"):
        self.path = path
        self.vocoder = vocoder
        self.n_samples: int | None = None

    def mel(self) -> "Iterator[Float[Tensor, 'n_mels frames']]":
        from wavegrad.audio.mel import MelSpectrogram
        from wavegrad.audio.mel_file import read_mel_blocks
        from wavegrad.audio.stream_mel import mel_blocks

        if self.path.suffix.lower() in MELS:
            yield from read_mel_blocks(self.path, self.vocoder.n_mels)
        else:
            yield from mel_blocks(self._blocks(), MelSpectrogram(self.vocoder.mel_config))

    def check(self) -> bool:
        """Look through a file of mel, lest a fault near its end be met after hours; False for audio."""
        from wavegrad.audio.mel_check import check_mel_blocks
        from wavegrad.audio.mel_file import read_mel_blocks

        is_mel = self.path.suffix.lower() in MELS
        if is_mel:
            check_mel_blocks(read_mel_blocks(self.path, self.vocoder.n_mels), self.vocoder.mel_config)
        return is_mel

    def _blocks(self) -> "Iterator[Float[Tensor, ' time']]":
        from wavegrad.audio.blocks import read_blocks

        n_samples = 0
        for block in read_blocks(self.path, self.vocoder.sample_rate):
            n_samples += len(block)
            yield block
        self.n_samples = n_samples


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """Turn SIGTERM into an exception meanwhile; only the main thread of a process may."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
