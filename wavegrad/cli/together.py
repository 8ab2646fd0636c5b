"""Several files at once: what keeps a GPU busy."""

import contextlib
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wavegrad.cli.files import Job
from wavegrad.errors import WavegradError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def groups_of_similar_length(jobs: Sequence[Job], length: Callable[[Path], float], size: int) -> list[list[Job]]:
    """At most `size` jobs in each; together they are padded to the longest, so neighbours in length share a group."""
    by_length = sorted(jobs, key=lambda job: length(job.source))
    return [by_length[i : i + size] for i in range(0, len(jobs), size)]


class Together:
    """The audio of each file, made with the rest of its group when the first of them is asked for.

    Args:
        groups: of jobs.
        read: the mel of a file, and the number of its samples where it has one; may warn and raise a WavegradError.
        synthesise: mels to waveforms.
    """

    def __init__(
        self,
        groups: Sequence[Sequence[Job]],
        read: "Callable[[Path], tuple[Float[Tensor, 'n_mels frames'], int | None]]",
        synthesise: "Callable[[list[Float[Tensor, 'n_mels _']]], list[Float[Tensor, ' _']]]",
    ):
        self._group = {job: group for group in groups for job in group}
        self._read = read
        self._synthesise = synthesise
        self._made: dict[Job, tuple[Tensor, list[warnings.WarningMessage]]] = {}

    def __call__(self, job: Job) -> "Float[Tensor, ' time']":
        """The audio of a job, asked for once.

        Raises:
            WavegradError: its file cannot be read; the others of its group are made all the same.

        Warns:
            What reading its file warned about, and what synthesis did where this job is the first of its group.
        """
        if job not in self._made:
            self._make(self._group[job])
        if job not in self._made:
            self._read(job.source)  # as it did before, this raises
        audio, caught = self._made.pop(job)
        for warning in caught:
            warnings.warn(warning.message, stacklevel=2)
        return audio

    def _make(self, group: Sequence[Job]) -> None:
        """Skips files that cannot be read: they are reported in their turn."""
        from wavegrad.audio.mel_check import MelWarning

        readable, mels = [], []
        for job in group:
            with warnings.catch_warnings(record=True) as caught, contextlib.suppress(WavegradError):
                warnings.simplefilter("always")
                mel, n_samples = self._read(job.source)
                readable.append((job, n_samples, caught))
                mels.append(mel)
        if mels:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", MelWarning)  # each was warned about when it was read
                made = self._synthesise(mels)
            for (job, n_samples, caught), audio in zip(readable, made, strict=True):
                self._made[job] = audio[:n_samples], caught
