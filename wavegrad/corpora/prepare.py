"""Recordings to training data: mono FLAC at one rate, split, with a manifest."""

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from wavegrad import atomic
from wavegrad.audio.io import AudioWarning, audio_info, read_audio, write_audio
from wavegrad.config import load_toml, save_toml, to_dict
from wavegrad.corpora.corpus import Recording, Split
from wavegrad.errors import AudioError, ConfigError, CorpusError

MANIFEST = "manifest.jsonl"
SETTINGS = "prepare.toml"
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


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
    """Write OUT/<split>/<speaker>/<name>.flac, OUT/prepare.toml with the choices, and OUT/manifest.jsonl.

    What is there is kept, so that an interrupted call can be made again, unless its recording changed since; what
    earlier calls wrote is no recording, even where OUT is inside the corpus. A recording that cannot be used is named
    and left out.

    Raises:
        CorpusError: there is no recording, none is usable, two have the same name, or OUT was made with other choices
            or cannot be written.
        AudioError: a clip cannot be written.
    """
    own = {(out / split).resolve() for split in SPLITS}
    items = [each for each in recordings if own.isdisjoint(each.path.resolve().parents)]
    if not items:
        raise CorpusError("no recording was found; is this the folder of that corpus?")
    _check_names(items)
    _settle(config, out)
    made: list[Prepared] = []
    results = _map(partial(_prepare_one, out=out, config=config), items, workers)
    for recording, result in tqdm(zip(items, results, strict=True), total=len(items), unit="clip", dynamic_ncols=True):
        if isinstance(result, str):
            say(f"left out {recording.name}: {result}")
        else:
            made.append(result)
    if not made:
        raise CorpusError("no recording is usable; the lines above say why")
    _name_strangers(made, out, say)
    atomic.write_text(out / MANIFEST, "".join(json.dumps(asdict(p)) + "\n" for p in made))
    return made


def split_of(name: str, valid_share: float) -> Split:
    """The place of a clip by a hash of its name: a share validates, as many test, the rest trains."""
    position = int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8]) / 2**64
    return "valid" if position < valid_share else "test" if position < 2 * valid_share else "train"


def _prepare_one(recording: Recording, out: Path, config: PrepareConfig) -> Prepared | str:
    """The manifest line, or the reason why there is none."""
    split = recording.split or split_of(recording.name, config.valid_share)
    path = Path(split) / recording.speaker / f"{recording.name}.flac"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", AudioWarning)  # a recording that was cut off is not trained on
            waveform, rate = read_audio(recording.path, config.sample_rate)
    except (AudioError, AudioWarning) as error:
        return str(error)
    seconds = len(waveform) / rate
    if seconds < config.min_seconds:
        return f"{seconds:.2f} s is shorter than {config.min_seconds} s"
    if not _is_of(out / path, recording.path, len(waveform)):
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        peak = max(1.0, waveform.abs().max().item())  # resampling may overshoot full scale
        write_audio(out / path, waveform / peak, rate)
    return Prepared(path.as_posix(), recording.speaker, split, round(seconds, 3), str(recording.path))


def _is_of(clip: Path, recording: Path, n_samples: int) -> bool:
    """Whether an earlier call made this clip of the recording as it is now: no older than that, and as long."""
    try:
        newer = clip.stat().st_mtime_ns >= recording.stat().st_mtime_ns
        return newer and audio_info(clip).n_samples == n_samples
    except (FileNotFoundError, AudioError):
        return False


def _settle(config: PrepareConfig, out: Path) -> None:
    """Write down the choices; refuse others than those with which the folder was made, since what is there is kept."""
    path = out / SETTINGS
    try:
        if path.exists():
            before, now = load_toml(path), to_dict(config)
            changed = [
                f"{key} {value} (was {before.get(key)})" for key, value in now.items() if before.get(key) != value
            ]
            if changed:
                raise CorpusError(
                    f"{out} was made with other choices: {', '.join(changed)}; choose another --out, or delete it"
                )
        out.mkdir(parents=True, exist_ok=True)
        save_toml(to_dict(config), path)
    except OSError as error:
        raise CorpusError(f"{out}: cannot be written: {error.strerror}; choose another --out") from error


def _name_strangers(made: list[Prepared], out: Path, say: Callable[[str], None]) -> None:
    """Say which clips in the folders of the splits are of no recording: a training would read them too."""
    known = {item.path for item in made}
    found = sorted(p.relative_to(out).as_posix() for split in SPLITS for p in (out / split).rglob("*.flac"))
    others = [name for name in found if name not in known]
    if others:
        more = f" and {len(others) - 3} more" if len(others) > 3 else ""
        say(f"of no recording of this corpus, but a training would read them: {', '.join(others[:3])}{more}, in {out}")


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
