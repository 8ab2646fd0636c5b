"""What is done already: an evaluation that was stopped goes on where it was."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavegrad import __version__, atomic
from wavegrad.config import from_dict, to_dict
from wavegrad.errors import ConfigError
from wavegrad.evaluation.candidate import Candidate, Folder
from wavegrad.evaluation.measure import Job, Record
from wavegrad.evaluation.pairing import Clip

PLAN, CLIPS = "plan.json", "clips"
OURS = (PLAN, "metrics.csv", "summary.json", "report.html", CLIPS, "audio")
"""What a report folder holds; nothing else in it is ever removed."""


@dataclass(frozen=True)
class _Done:
    """clips/NAME.json."""

    inputs: dict[str, str]
    """Size and time of change of each file, by path."""
    record: Record


def start(job: Job, overwrite: bool = False) -> None:
    """Make the report folder, or find out that it is the one of a run like this.

    Raises:
        ConfigError: it holds something else, or an evaluation that differs in anything but its clips.
    """
    directory, plan = job.directory, _plan(job)
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"{directory} is a file, not a folder; choose another --report")
    if directory.is_dir() and any(directory.iterdir()):
        before = _read_json(directory / PLAN)
        if not isinstance(before, dict):
            raise ConfigError(f"{directory} holds something else than an evaluation; choose another --report")
        if before == plan and not overwrite:
            return
        if not overwrite:
            keys = [key for key in {**plan, **before} if plan.get(key) != before.get(key)]
            raise ConfigError(
                f"{directory} holds an evaluation with other {' and '.join(keys)}; choose another --report, or "
                "--overwrite it"
            )
        _clear(directory)
    directory.mkdir(parents=True, exist_ok=True)
    atomic.write_text(directory / PLAN, json.dumps(plan, indent=1, ensure_ascii=False) + "\n")


def write_record(clip: Clip, job: Job, record: Record) -> None:
    """Note that a clip is done, after its audio has been written."""
    path = _path(clip, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_text(path, json.dumps(to_dict(_Done(_inputs(clip), record)), ensure_ascii=False) + "\n")


def read_record(clip: Clip, job: Job) -> Record | None:
    """What is known of a clip; None where it is not done, or its files have changed since."""
    data = _read_json(_path(clip, job))
    if data is None:
        return None
    done = from_dict(_Done, data, str(_path(clip, job)))
    return done.record if done.inputs == _inputs(clip) else None


def _path(clip: Clip, job: Job) -> Path:
    return job.directory / CLIPS / f"{clip.name}.json"


def _inputs(clip: Clip) -> dict[str, str]:
    found = ((path, path.stat()) for path in clip.files if path.exists())
    return {str(path.resolve()): f"{stat.st_size} bytes, {stat.st_mtime_ns}" for path, stat in found}


def _plan(job: Job) -> dict[str, Any]:
    """What the record of a clip depends on, besides its files."""
    return {
        "version": __version__,
        "metrics": list(job.metrics),
        "sample rate": job.sample_rate,
        "tolerance": job.tolerance_s,
        "systems": [_system(candidate) for candidate in job.candidates],
    }


def _system(candidate: Candidate) -> Mapping[str, Any]:
    made_by = (
        {"folder": str(candidate.directory.resolve())}
        if isinstance(candidate, Folder)
        else {"identity": candidate.identity, "sample_rate": candidate.sample_rate}
    )
    return {**to_dict(candidate.system), **made_by}


def _read_json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _clear(directory: Path) -> None:
    for name in reversed(OURS):  # the plan last: what is left of a stopped removal is still known as a report
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            os.remove(path)
