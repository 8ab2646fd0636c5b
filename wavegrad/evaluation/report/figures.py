"""The report's figures: means, paired differences and single clips, as the page's script reads them."""

import json
import math
from typing import Any

from wavegrad.evaluation.bootstrap import Interval
from wavegrad.evaluation.results import Evaluation
from wavegrad.evaluation.table import Column, column, verdict


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """All that the tables and plots need. Intervals are [mean, low, high, n], or null where there is no value."""
    names = [system.name for system in evaluation.systems]
    means = {name: {key: evaluation.interval(name, key) for key in evaluation.metrics} for name in names}
    return {
        "metrics": [{"key": key, **vars(column(key))} for key in evaluation.metrics],
        "systems": [{"name": s.name, "group": s.group, "steps": s.n_steps} for s in evaluation.systems],
        "means": {name: {key: _listed(i) for key, i in row.items()} for name, row in means.items()},
        "pairs": _pairs(evaluation, names),
        "clips": {clip: _single(evaluation, names, clip) for clip in evaluation.clips},
    }


def embedded(data: object) -> str:
    """JSON that can stand inside a <script> element: nothing in it ends the element or opens a comment."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def best(evaluation: Evaluation, key: str) -> set[str]:
    """The systems whose mean is best, as it is printed: those that read the same are equally good."""
    shown = column(key)
    found = {s.name: evaluation.interval(s.name, key) for s in evaluation.systems}
    badness = {name: _badness(interval, shown) for name, interval in found.items() if interval.n}
    if len(badness) < 2:
        return set()
    least = min(badness.values())
    return {name for name, value in badness.items() if value == least}


def _badness(interval: Interval, shown: Column) -> float:
    mean = round(interval.mean, shown.digits)
    return {"lower": mean, "higher": -mean, "zero": abs(mean)}[shown.better]


def _pairs(evaluation: Evaluation, names: list[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """pairs[baseline][system][metric]: [mean, low, high, n, verdict] of system minus baseline on the clips of both."""
    pairs: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for i, baseline in enumerate(names):
        for system in names[i + 1 :]:
            there = {key: evaluation.difference(system, baseline, key) for key in evaluation.metrics}
            back = {key: Interval(-d.mean, -d.high, -d.low, d.n) for key, d in there.items()}
            for one, other, row in ((baseline, system, there), (system, baseline, back)):
                pairs[one][other] = {key: _judged(d, column(key)) for key, d in row.items()}
    return pairs


def _judged(d: Interval, shown: Column) -> tuple[float, float, float, int, str] | None:
    return (d.mean, d.low, d.high, d.n, verdict(d, shown.better)) if d.n else None


def _listed(i: Interval) -> tuple[float, float, float, int] | None:
    return (i.mean, i.low, i.high, i.n) if i.n else None


def _single(evaluation: Evaluation, names: list[str], clip: str) -> dict[str, dict[str, float]]:
    """[system][metric] of one clip."""
    found: dict[str, dict[str, float]] = {}
    for name in names:
        for key in evaluation.metrics:
            value = evaluation.value(name, clip, key)
            if value is not None and math.isfinite(value):
                found.setdefault(name, {})[key] = value
    return found
