"""What an evaluation found, and its place on disk."""

import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wavegrad import atomic
from wavegrad.config import from_dict, to_dict
from wavegrad.errors import ConfigError
from wavegrad.evaluation.bootstrap import Interval, mean_interval

FORMAT_VERSION = 1
"""Of summary.json and metrics.csv."""
REFERENCE = "reference"
"""Folder of the recordings inside `audio/`; no system has this name."""


@dataclass(frozen=True)
class System:
    """Something that makes audio."""

    name: str
    """Row heading, for example "small-24k, 6 steps"."""
    group: str
    """Its line in the plots, for example "small-24k"; a folder's or Griffin-Lim's own name."""
    n_steps: int | None = None
    """Refinement steps; None where the word has no meaning."""

    @property
    def slug(self) -> str:
        """Name of its folder."""
        return slug(self.name)


@dataclass(frozen=True)
class Failure:
    """A clip, or one figure of it, that could not be had."""

    system: str
    """Name, or REFERENCE where the recording itself is bad."""
    clip: str
    message: str


@dataclass(frozen=True)
class Evaluation:
    """Figures of several systems on the same clips."""

    sample_rate: int
    """Hz at which reference and generated audio meet."""
    systems: tuple[System, ...]
    clips: tuple[str, ...]
    """Paths below the reference folder, without suffix, with "/" between their parts."""
    metrics: tuple[str, ...]
    """Keys of those that were measured; "rtf", the real-time factor, may be among them."""
    values: Mapping[str, Mapping[str, Mapping[str, float]]]
    """values[system name][clip][metric]; what could not be measured is missing."""
    remarks: tuple[str, ...] = ()
    """What was resampled, left out or skipped, a line each."""
    failures: tuple[Failure, ...] = ()
    command: str = ""
    """What to type to have it again."""

    def value(self, system: str, clip: str, metric: str) -> float | None:
        """One figure, or None."""
        return self.values.get(system, {}).get(clip, {}).get(metric)

    def interval(self, system: str, metric: str) -> Interval:
        """Mean of a system over the clips where it has the metric."""
        found = (self.value(system, clip, metric) for clip in self.clips)
        return mean_interval([value for value in found if value is not None])

    def difference(self, system: str, other: str, metric: str) -> Interval:
        """Mean of `system` minus `other` over the clips that both have: a paired comparison.

        Clips differ far more than systems do; that cancels here, and the interval is narrower than those of the means.
        """
        pairs = ((self.value(system, clip, metric), self.value(other, clip, metric)) for clip in self.clips)
        return mean_interval([a - b for a, b in pairs if a is not None and b is not None])

    def save(self, directory: Path) -> None:
        """Write metrics.csv and summary.json, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        atomic.write_text(directory / "metrics.csv", self._csv())
        summary = to_dict(_Summary.of(self))
        atomic.write_text(directory / "summary.json", json.dumps(summary, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, directory: Path) -> "Evaluation":
        """Read what `save` wrote.

        Raises:
            ConfigError: there is no evaluation, or it is damaged or of a newer format.
        """
        path = directory / "summary.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            rows = list(csv.reader(io.StringIO((directory / "metrics.csv").read_text(encoding="utf-8"))))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{directory}: no evaluation can be read: {error}") from error
        version = data.get("format_version") if isinstance(data, dict) else None
        if version != FORMAT_VERSION:
            raise ConfigError(f"{path}: format {version!r}; this version of wavegrad reads {FORMAT_VERSION}")
        s = from_dict(_Summary, data, str(path))
        values = _values_of(rows, directory / "metrics.csv")
        return cls(s.sample_rate, s.systems, s.clips, s.metrics, values, s.remarks, s.failures, s.command)

    def _csv(self) -> str:
        """A line for each clip and system, a column for each metric; empty where there is no value."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["clip", "system", *self.metrics])
        for clip in self.clips:
            for system in self.systems:
                cells = (self.value(system.name, clip, metric) for metric in self.metrics)
                writer.writerow([clip, system.name, *("" if cell is None else repr(cell) for cell in cells)])
        return text.getvalue()


@dataclass(frozen=True)
class _Summary:
    """summary.json: everything but the figures of single clips, with the means for those who read no CSV."""

    format_version: int
    command: str
    sample_rate: int
    systems: tuple[System, ...]
    clips: tuple[str, ...]
    metrics: tuple[str, ...]
    remarks: tuple[str, ...]
    failures: tuple[Failure, ...]
    means: dict[str, dict[str, Interval]]
    """By system and metric; where no clip has a figure, there is none."""

    @classmethod
    def of(cls, e: Evaluation) -> "_Summary":
        means = {s.name: {m: i for m in e.metrics if (i := e.interval(s.name, m)).n} for s in e.systems}
        return cls(
            FORMAT_VERSION, e.command, e.sample_rate, e.systems, e.clips, e.metrics, e.remarks, e.failures, means
        )


def _values_of(rows: list[list[str]], path: Path) -> dict[str, dict[str, dict[str, float]]]:
    values: dict[str, dict[str, dict[str, float]]] = {}
    try:
        (_, _, *metrics), *lines = rows
        for clip, system, *cells in lines:
            figures = {m: float(cell) for m, cell in zip(metrics, cells, strict=True) if cell}
            if figures:
                values.setdefault(system, {})[clip] = figures
    except ValueError as error:
        raise ConfigError(f"{path}: is damaged: {error}") from error
    return values


def slug(name: str) -> str:
    """A name as part of a path: small letters, digits and points, everything else a single "-"."""
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.") or "-"


def audio_path(directory: Path, clip: str, system: System | None = None) -> Path:
    """Where a report keeps the audio of a system, or without one that of the reference."""
    return directory / "audio" / (REFERENCE if system is None else system.slug) / f"{clip}.flac"
