"""Works off the files of `wavegrad vocode`: each alone, in groups, or as a stream."""

import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from wavegrad.cli.files import Job, is_full_disk, make_folder, not_all_done
from wavegrad.cli.long_files import Terminated, is_long, seconds_of, vocode_long
from wavegrad.cli.synthesizer import Synthesizer
from wavegrad.cli.together import Together, groups_of_similar_length
from wavegrad.errors import AudioError, WavegradError
from wavegrad.suffixes import MELS

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from tqdm import tqdm

    from wavegrad.vocoder import Vocoder

Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]


def vocode_files(jobs: Sequence[Job], synthesizer: Synthesizer, subtype: Subtype, batch: int) -> None:
    """Work off the jobs under a progress bar, then say how it went.

    Args:
        batch: files at once, of those that are not streamed.

    Raises:
        AudioError: the disk is full.
        typer.Exit: files failed, each with a line of its own; or an interruption.
    """
    from tqdm import tqdm

    made: list[Made] = []
    full: WavegradError | None = None
    with tqdm(total=len(jobs) * synthesizer.schedule.n_steps, unit="step", dynamic_ncols=True) as bar:
        vocode_file = FileVocoder(jobs, synthesizer, subtype, batch, bar)
        for i, job in enumerate(jobs):
            bar.set_description(job.source.name)
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    made.append(vocode_file(job))
                for message in dict.fromkeys(str(warning.message) for warning in caught):
                    bar.write(f"{job.source}: {message}", file=sys.stderr)
            except WavegradError as error:
                if is_full_disk(error):
                    full = error
                    break
                bar.write(f"{job.source}: {error}", file=sys.stderr)
                bar.n = (i + 1) * synthesizer.schedule.n_steps
    typer.echo(_summary(made, synthesizer.vocoder.sample_rate))
    if full is not None:
        raise AudioError(f"{full}; free some space: what is done stays, and the same command goes on") from full
    not_all_done(len(jobs) - len(made))


@dataclass(frozen=True)
class Made:
    """A file that was written."""

    n_samples: int
    seconds: float
    """That its synthesis took."""


def _summary(made: Sequence[Made], sample_rate: int) -> str:
    seconds_of_audio = sum(file.n_samples for file in made) / sample_rate
    factor = f"{sum(file.seconds for file in made) / seconds_of_audio:.3f}" if seconds_of_audio else "-"
    files = "1 file" if len(made) == 1 else f"{len(made)} files"
    return f"{files}, {seconds_of_audio:.2f} s of audio, real-time factor {factor}"


class FileVocoder:
    """Makes and writes the audio of one job after the other, in the way that suits it.

    Args:
        jobs: all that will be asked for, each once.
        batch: files at once, of those that are not streamed.
        bar: has `n_steps` for each job.
    """

    def __init__(self, jobs: Sequence[Job], synthesizer: Synthesizer, subtype: Subtype, batch: int, bar: "tqdm[None]"):
        self._synthesizer = synthesizer
        self._subtype: Subtype = subtype
        self._bar = bar
        self._n_steps = synthesizer.schedule.n_steps
        self._length = cache(partial(seconds_of, vocoder=synthesizer.vocoder))
        self._together: Together | None = None
        if batch > 1:
            groups = groups_of_similar_length([j for j in jobs if not self._is_streamed(j)], self._length, batch)
            self._together = Together(groups, partial(_mel_of, vocoder=synthesizer.vocoder), synthesizer.several)

    def __call__(self, job: Job) -> Made:
        """Write the file of a job.

        Raises:
            WavegradError: its source cannot be read, or its target not be written.
            typer.Exit: interrupted while a long file was being made.
        """
        if self._is_streamed(job):
            return self._streamed(job)
        return self._alone(job) if self._together is None else self._in_a_group(job, self._together)

    def _is_streamed(self, job: Job) -> bool:
        is_bounded = self._synthesizer.chunks.lookahead_frames is not None
        return self._synthesizer.can_stream and (is_bounded or is_long(self._length(job.source)))

    def _alone(self, job: Job) -> Made:
        mel, n_samples = _mel_of(job.source, self._synthesizer.vocoder)
        step_by_step = self._synthesizer.vocoder.device.type == "cpu"  # a GPU does all steps at once
        n_before = self._bar.n
        began = time.perf_counter()
        waveform = self._synthesizer.one(mel, n_samples, self._advance if step_by_step else None)
        seconds = time.perf_counter() - began
        self._advance(n_before + self._n_steps - self._bar.n)
        return self._write(job, waveform, seconds)

    def _in_a_group(self, job: Job, together: Together) -> Made:
        began = time.perf_counter()
        waveform = together(job)
        seconds = time.perf_counter() - began
        self._advance(self._n_steps)
        return self._write(job, waveform, seconds)

    def _streamed(self, job: Job) -> Made:
        """Piece by piece. An interruption keeps what is done, and ends the command."""
        seconds_done = 0.0

        def show(so_far: float) -> None:
            nonlocal seconds_done
            seconds_done = so_far
            self._bar.set_postfix_str(f"{so_far:.0f} s")

        began = time.perf_counter()
        try:
            n_samples = vocode_long(job, self._synthesizer.vocoder, self._synthesizer.stream, self._subtype, show)
        except KeyboardInterrupt as interrupt:
            self._bar.write(_interrupted(job, seconds_done), file=sys.stderr)
            raise typer.Exit(143 if isinstance(interrupt, Terminated) else 130) from None
        self._advance(self._n_steps)
        return Made(n_samples, time.perf_counter() - began)

    def _advance(self, n_steps: int = 1) -> None:
        self._bar.update(n_steps)

    def _write(self, job: Job, waveform: "Float[Tensor, ' time']", seconds: float) -> Made:
        from wavegrad.audio.io import write_audio

        make_folder(job.target)
        write_audio(job.target, waveform, self._synthesizer.vocoder.sample_rate, self._subtype)
        return Made(len(waveform), seconds)


def _interrupted(job: Job, seconds: float) -> str:
    if not seconds:
        return f"interrupted: nothing of {job.target} was done"
    return f"interrupted: {job.target} holds the first {seconds:.2f} s; --overwrite does it again"


def _mel_of(path: Path, vocoder: "Vocoder") -> "tuple[Float[Tensor, 'n_mels frames'], int | None]":
    """The mel of a file, and the length of its audio where it has one."""
    import torch.nn.functional as F

    from wavegrad.audio.io import read_audio
    from wavegrad.audio.mel_check import check_mel
    from wavegrad.audio.mel_file import read_mel

    if path.suffix.lower() in MELS:
        mel = read_mel(path, vocoder.n_mels)
        check_mel(mel, vocoder.mel_config)  # before it shares a batch with others
        return mel, None
    waveform, _ = read_audio(path, vocoder.sample_rate)
    return vocoder.mel(F.pad(waveform, (0, -len(waveform) % vocoder.hop_length))), len(waveform)
