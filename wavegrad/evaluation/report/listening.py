"""One clip of the report: audio and pictures of every system."""

import base64
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from wavegrad.audio.io import read_audio
from wavegrad.errors import AudioError
from wavegrad.evaluation.report.picture import difference, envelope, log_mel_db, spectrogram
from wavegrad.evaluation.results import REFERENCE, Evaluation, audio_path


@dataclass(frozen=True)
class Take:
    """A system's version of a clip, or the recording itself, as the page's script reads it."""

    name: str
    rate: int
    """Hz."""
    seconds: float
    audio: str
    """FLAC in base64. It is lossless, since a lossy codec's artefacts are of the kind that is to be judged here; half
    as large as WAV; and Chromium, Firefox (51 and later) and Safari (11 and later, phones too) decode it."""
    envelope: list[list[int]]
    spectrogram: str
    """Address of the picture; empty where the clip is too short for one."""
    difference: str
    """The same; empty for the recording too."""


@dataclass(frozen=True)
class _Audio:
    name: str
    flac: bytes
    waveform: Float[Tensor, " time"]
    sample_rate: int
    level_db: Float[ndarray, "n_mels frames"] | None


def clip_data(evaluation: Evaluation, clip: str, directory: Path) -> dict[str, Any]:
    """What the script needs to show a clip: its takes, the recording first, and a line for each thing that failed."""
    sources = [(REFERENCE, audio_path(directory, clip))]
    sources += [(system.name, audio_path(directory, clip, system)) for system in evaluation.systems]
    notes = [f"{failure.system}: {failure.message}" for failure in evaluation.failures if failure.clip == clip]
    found: list[_Audio] = []
    for name, path in sources:
        try:
            found.append(_read(name, path))
        except AudioError:
            notes.append(f"{name}: no audio")
    reference = found[0] if found and found[0].name == REFERENCE else None
    return {"clip": clip, "takes": [asdict(_take(audio, reference)) for audio in found], "notes": notes}


def _read(name: str, path: Path) -> _Audio:
    waveform, sample_rate = read_audio(path)
    try:
        level_db = log_mel_db(waveform, sample_rate)
    except AudioError:  # shorter than a frame: it can be played, not drawn
        level_db = None
    return _Audio(name, path.read_bytes(), waveform, sample_rate, level_db)


def _take(audio: _Audio, reference: _Audio | None) -> Take:
    level, standard = audio.level_db, None if reference is None else reference.level_db
    drawn = differs = ""
    if level is not None:
        peak_db = float((level if standard is None else standard).max())  # the recording's: one scale for all takes
        drawn = spectrogram(level, peak_db)
        if standard is not None and audio is not reference:
            differs = difference(standard, level, peak_db)
    return Take(
        name=audio.name,
        rate=audio.sample_rate,
        seconds=round(len(audio.waveform) / audio.sample_rate, 3),
        audio=base64.b64encode(audio.flac).decode("ascii"),
        envelope=envelope(audio.waveform),
        spectrogram=drawn,
        difference=differs,
    )
