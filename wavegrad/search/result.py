"""A found schedule as a file: a schedule that `wavegrad vocode --schedule` reads, and how it was found."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wavegrad import atomic
from wavegrad.checkpoint import load_config, resolve_model
from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.evaluation import bootstrap_interval


@dataclass(frozen=True)
class Provenance:
    """How a schedule was found."""

    method: str
    objective: str
    sampler: str
    """That the scores are of."""
    precision: str
    """Of the network's arithmetic, likewise."""
    seed: int
    trials: int
    minutes: float | None
    """The budget, where there was one."""
    seconds: float
    """What the search took."""
    calls: int
    """Network calls, each of one clip."""
    shared: int
    """Network calls that were spared."""
    model: str
    """SHA-256 of the weights."""
    clips: tuple[str, ...]
    """Names of the files that it was found on."""
    judged_on: tuple[str, ...]
    """Names of the files that the figures are of; they, or at least the noise, had no part in the search."""
    search_score: float | None
    """What it had in the search, where a method tries candidates: the best of many, and so flattered."""


@dataclass(frozen=True)
class Judged:
    """A schedule and its scores, one for each clip that it was judged on."""

    schedule: NoiseSchedule
    scores: tuple[float, ...]

    def row(self) -> dict[str, Any]:
        """Mean and 95 % bootstrap interval over the clips."""
        finite = all(score > float("-inf") for score in self.scores)
        if not self.scores or not finite:
            return {"name": self.schedule.name, "n_clips": len(self.scores), "score": None, "interval": None}
        mean = sum(self.scores) / len(self.scores)
        interval = list(bootstrap_interval(self.scores))
        return {"name": self.schedule.name, "n_clips": len(self.scores), "score": mean, "interval": interval}

    def above(self, other: "Judged") -> dict[str, Any] | None:
        """Mean and 95 % bootstrap interval of the difference to another schedule, clip by clip."""
        gains = [a - b for a, b in zip(self.scores, other.scores, strict=True)]
        if not gains or not all(abs(gain) < float("inf") for gain in gains):
            return None
        return {"gain": sum(gains) / len(gains), "interval": list(bootstrap_interval(gains))}


@dataclass(frozen=True)
class Searched:
    """One number of steps of a search: what the report shows."""

    table: Mapping[str, Any]
    """See `result_table`."""
    tried: tuple[Judged, ...]
    """In order; some on the first clips only."""
    baselines: tuple[NoiseSchedule, ...]

    @property
    def n_steps(self) -> int:
        """N."""
        return len(self.table["betas"])

    @property
    def search(self) -> Mapping[str, Any]:
        """How it was found, and how good it is."""
        search: Mapping[str, Any] = self.table["search"]
        return search

    @property
    def gain(self) -> Mapping[str, Any] | None:
        """By how much it is better, or worse, than what that number of steps takes without it, the first of the
        baselines; None where one of the two diverged."""
        gain: Mapping[str, Any] | None = self.search["baselines"][0]["found_is_better_by"]
        return gain

    @property
    def is_better(self) -> bool:
        """Than that, by its mean."""
        return self.search["score"] is not None and (self.gain is None or self.gain["gain"] > 0)

    @property
    def schedule(self) -> NoiseSchedule:
        """The one that was found."""
        return NoiseSchedule(tuple(self.table["betas"]), str(self.n_steps))


def result_table(
    best: Judged, baselines: Sequence[Judged], how: Provenance, date: datetime | None = None
) -> dict[str, Any]:
    """The JSON form: `NoiseSchedule.to_dict` with one key more, "search"."""
    date = date or datetime.now(UTC)
    search: dict[str, Any] = {key: list(v) if isinstance(v, tuple) else v for key, v in vars(how).items()}
    search |= {"date": date.isoformat(timespec="seconds"), **best.row(), "scores": list(best.scores)}
    search["baselines"] = [{**one.row(), "found_is_better_by": best.above(one)} for one in baselines]
    del search["name"]
    score = "" if search["score"] is None else f", {how.objective} {search['score']:.3f} on {len(best.scores)} others"
    said = f"found by {how.method}{score}; weights {how.model[:12]}, {date.date().isoformat()}"
    return {**replace(best.schedule, provenance=said).to_dict(), "search": search}


def write_json(table: Mapping[str, Any], path: Path) -> None:
    """Whole or not at all."""
    atomic.write_text(path, json.dumps(table, indent=2) + "\n")


def add_to_model(table: Mapping[str, Any], model: str, name: str) -> Path:
    """Store a result in a model directory as schedules/NAME.json; one of that name is replaced, whole or not at all.

    Raises:
        CheckpointError: there is no such model.
        ConfigError: a name that cannot be a file name, or a directory that cannot be written.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"schedule {name!r} cannot be a file name; use letters, digits, '_', '-' and '.'")
    directory = resolve_model(model)
    load_config(directory)
    path = directory / "schedules" / f"{name}.json"
    try:
        write_json(table, path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    return path
