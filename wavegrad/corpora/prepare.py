"""Recordings to training data: mono FLAC at one rate, split, with a manifest."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from wavegrad.audio.io import read_audio, write_audio
from wavegrad.corpora.corpus import Recording, Split
from wavegrad.errors import AudioError, ConfigError, CorpusError

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True)
class PrepareConfig:
    """What to make of the recordings."""

    sample_rate: int = 24000
    """Hz."""
    valid_share: float = 0.01
    """Share of the clips that validate, and as many that test, where the publishers give no split; chosen by a hash of
    the names, so that a clip keeps its place when others come or go."""
    min_seconds: float = 0.3
    """Shorter recordings are left out and named."""

    def __post_init__(self) -> None:
        if self.sample_rate < 1 or not 0 <= self.valid_share <= 0.5 or self.min_seconds < 0:
            raise ConfigError(
                f"sample_rate {self.sample_rate} must be positive, valid_share {self.valid_share} between 0 and 0.5, "
                f"min_seconds {self.min_seconds} not negative"
            )


@dataclass(frozen=True)
class Prepared:
    """One line of the manifest."""

    path: str
    """Below the output folder: <split>/<speaker>/<name>.flac."""
    speaker: str
    split: Split
    seconds: float
    source: str
    """The recording it was made of."""


def prepare(
    recordings: Iterable[Recording],
    out: Path,
    config: PrepareConfig,
    say: Callable[[str], None],
    workers: int = 1,
) -> list[Prepared]:
    """Write OUT/<split>/<speaker>/<name>.flac and OUT/manifest.jsonl.

    What is there is kept, so that an interrupted call can be made again. A recording that cannot be used is named and
    left out.

    Raises:
        CorpusError: there is no recording, none is usable, or two have the same name.
    """
    items = list(recordings)
    if not items:
        raise CorpusError("no recording was found; is this the folder of that corpus?")
    _check_names(items)
    made: list[Prepared] = []
    for recording, result in zip(
        items, _map(partial(_prepare_one, out=out, config=config), items, workers), strict=True
    ):
        if isinstance(result, str):
            say(f"left out {recording.name}: {result}")
        else:
            made.append(result)
    if not made:
        raise CorpusError("no recording is usable; the lines above say why")
    temporary = out / f"{MANIFEST}.part"
    temporary.write_text("".join(json.dumps(asdict(p)) + "\n" for p in made), encoding="utf-8")
    os.replace(temporary, out / MANIFEST)
    return made


def split_of(name: str, valid_share: float) -> Split:
    """The place of a clip by a hash of its name: a share validates, as many test, the rest trains."""
    position = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
    return "valid" if position < valid_share else "test" if position < 2 * valid_share else "train"


def _prepare_one(recording: Recording, out: Path, config: PrepareConfig) -> Prepared | str:
    """The manifest line, or the reason why there is none."""
    split = recording.split or split_of(recording.name, config.valid_share)
    path = Path(split) / recording.speaker / f"{recording.name}.flac"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a recording that was cut off, or clips, is not trained on
            waveform, rate = read_audio(recording.path, config.sample_rate)
            seconds = len(waveform) / rate
            if seconds < config.min_seconds:
                return f"{seconds:.2f} s is shorter than {config.min_seconds} s"
            if not (out / path).exists():
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                peak = max(1.0, waveform.abs().max().item())  # resampling may overshoot full scale
                write_audio(out / path, waveform / peak, rate)
    except (AudioError, UserWarning) as error:
        return str(error)
    return Prepared(path.as_posix(), recording.speaker, split, round(seconds, 3), str(recording.path))


def _map(
    function: Callable[[Recording], Prepared | str], items: list[Recording], workers: int
) -> Iterator[Prepared | str]:
    """In order, in one process or several."""
    if workers == 1:
        yield from map(function, items)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, items, chunksize=16)


def _check_names(items: list[Recording]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for item in items:
        if (item.speaker, item.name) in seen:
            raise CorpusError(f"{seen[item.speaker, item.name]} and {item.path} have the same name; rename one of them")
        seen[item.speaker, item.name] = item.path
