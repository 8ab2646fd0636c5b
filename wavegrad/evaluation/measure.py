"""One clip: read, synthesised by every system, measured, and its audio kept."""

import math
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.io import AudioWarning, read_audio, write_audio
from wavegrad.errors import AudioError, WavegradError
from wavegrad.evaluation.candidate import Candidate, Folder
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import resampled
from wavegrad.evaluation.pairing import Clip
from wavegrad.evaluation.registry import find_metrics
from wavegrad.evaluation.results import REFERENCE, Failure, audio_path

RTF = "rtf"
"""Real-time factor: seconds of computing for one second of audio."""


@dataclass(frozen=True)
class Job:
    """What is done to every clip."""

    candidates: tuple[Candidate, ...]
    metrics: tuple[str, ...]
    """Keys."""
    sample_rate: int
    """Hz at which recording and generated audio meet."""
    tolerance_s: float
    """Lengths may differ by this much; the longer one is cut."""
    directory: Path
    """Of the report."""


@dataclass(frozen=True)
class Record:
    """What is known of one clip."""

    values: dict[str, dict[str, float]]
    """By system and metric."""
    failures: tuple[Failure, ...] = ()
    remarks: tuple[str, ...] = ()


def measure(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int, metrics: Sequence[Metric]
) -> tuple[dict[str, float], list[str]]:
    """The figures of a pair by key, and a line for each that could not be had.

    A metric that has nothing to measure in this clip, as its silence or its pitch, gives no figure and no line: that is
    no fault of the system. The evaluation says how often it was so (see `blanks`).
    """
    values, complaints = {}, []
    for metric in metrics:
        try:
            value = metric.compute(reference, generated, sample_rate)
        except Exception as error:  # whatever a metric's library does with odd audio, it must not stop the rest
            complaints.append(_reason(error) if isinstance(error, WavegradError) else f"{metric.key}: {_reason(error)}")
            continue
        if math.isfinite(value):
            values[metric.key] = value
        elif not math.isnan(value):
            complaints.append(f"{metric.heading} is {value}")
    return values, complaints


def record_clip(clip: Clip, job: Job) -> Record:
    """All figures of one clip. Its audio is written below `job.directory`; what goes wrong is in the record."""
    values: dict[str, dict[str, float]] = {}
    failures: list[Failure] = []
    remarks: list[str] = []
    try:
        reference = _read(clip.reference, job.sample_rate, remarks)
        _keep(audio_path(job.directory, clip.name), reference, job.sample_rate, REFERENCE, clip, remarks)
    except WavegradError as error:
        return Record({}, (Failure(REFERENCE, clip.name, str(error)),), tuple(remarks))
    metrics = find_metrics(job.metrics)
    for candidate in job.candidates:
        name = candidate.system.name
        try:
            generated, seconds = _generated(clip, candidate, job, remarks)
            pair = _aligned(reference, generated, job)
            path = audio_path(job.directory, clip.name, candidate.system)
            _keep(path, generated, job.sample_rate, name, clip, remarks)
        except Exception as error:  # a system may do anything with one clip, and go on with the next
            failures.append(Failure(name, clip.name, _reason(error)))
            continue
        values[name], complaints = measure(*pair, job.sample_rate, metrics)
        if seconds is not None:
            values[name][RTF] = seconds * job.sample_rate / len(reference)
        failures += [Failure(name, clip.name, complaint) for complaint in complaints]
    return Record(values, tuple(failures), tuple(remarks))


def _generated(
    clip: Clip, candidate: Candidate, job: Job, remarks: list[str]
) -> tuple[Float[Tensor, " time"], float | None]:
    """Audio of a system at the common rate, and the seconds that it took."""
    if isinstance(candidate, Folder):
        if candidate.system.name not in clip.generated:
            raise AudioError(f"there is no {clip.name} in {candidate.directory}")
        return _read(clip.generated[candidate.system.name], job.sample_rate, remarks), None
    waveform = _read(clip.reference, candidate.sample_rate, [])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        began = time.perf_counter()
        generated = candidate.synthesize(waveform).float().cpu()  # waits for the device
        seconds = time.perf_counter() - began
    remarks += [f"{candidate.system.name}: {w.message}" for w in caught]
    if generated.dim() != 1 or not torch.isfinite(generated).all():
        raise AudioError(f"audio of shape {tuple(generated.shape)}, with values that are not finite or no single axis")
    if candidate.sample_rate != job.sample_rate:
        generated = torch.from_numpy(resampled(generated, candidate.sample_rate, job.sample_rate))
    return generated, seconds


def _aligned(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], job: Job
) -> tuple[Float[Tensor, " k"], Float[Tensor, " k"]]:
    """Both cut to the shorter length; AudioError where that would cut more than the tolerance."""
    difference_s = (len(generated) - len(reference)) / job.sample_rate
    if abs(difference_s) > job.tolerance_s:
        raise AudioError(
            f"is {abs(difference_s):.3f} s {'longer' if difference_s > 0 else 'shorter'} than the recording; up to "
            f"{job.tolerance_s:g} s are cut off (--tolerance-ms)"
        )
    n = min(len(reference), len(generated))
    return reference[:n], generated[:n]


def _read(path: Path, sample_rate: int, remarks: list[str]) -> Float[Tensor, " time"]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AudioWarning)
        waveform, _ = read_audio(path, sample_rate)
    remarks += [str(w.message) for w in caught]
    return waveform


def _keep(
    path: Path, waveform: Float[Tensor, " time"], sample_rate: int, system: str, clip: Clip, remarks: list[str]
) -> None:
    """Write the audio for the report's players."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        n_clipped = write_audio(path, waveform, sample_rate)
    if n_clipped:
        remarks.append(f"{system}, {clip.name}: {n_clipped} samples clipped in the report's audio, not in its figures")


def _reason(error: Exception) -> str:
    """One line; with the kind of error, where it is not one of ours."""
    text = " ".join(str(error).split())
    return text if isinstance(error, WavegradError) else f"{type(error).__name__}: {text}"
