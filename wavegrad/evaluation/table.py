"""An evaluation as text."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from wavegrad.evaluation.bootstrap import Interval
from wavegrad.evaluation.measure import RTF
from wavegrad.evaluation.registry import find_metrics
from wavegrad.evaluation.results import Evaluation

MOST_COLUMNS = 6
"""Metrics beside each other."""


@dataclass(frozen=True)
class Column:
    """How a figure is shown."""

    heading: str
    """With the unit."""
    digits: int
    better: Literal["higher", "lower", "zero"]


def column(key: str) -> Column:
    """Of a metric, or of the real-time factor, which is no metric: it is not computed from the audio."""
    if key == RTF:
        return Column("real-time factor", 3, "lower")
    (metric,) = find_metrics([key])
    heading = f"{metric.heading}, {metric.unit}" if metric.unit else metric.heading
    return Column(heading, metric.digits, metric.better)


def markdown_table(evaluation: Evaluation) -> str:
    """One row a system: mean of each metric with its 95 % interval over n clips."""
    rows = {
        system.name: [evaluation.interval(system.name, key) for key in evaluation.metrics]
        for system in evaluation.systems
    }
    return _table("system", rows, evaluation.metrics, _mean)


def paired_table(evaluation: Evaluation, baseline: str) -> str:
    """One row for each other system: its mean difference from `baseline` on the clips that both have.

    Where the 95 % interval leaves out zero, and the metric has a good end, the cell says "better" or "worse".
    """
    rows = {
        system.name: [evaluation.difference(system.name, baseline, key) for key in evaluation.metrics]
        for system in evaluation.systems
        if system.name != baseline
    }
    return _table(f"minus {baseline}", rows, evaluation.metrics, _difference)


def verdict(difference: Interval, better: Literal["higher", "lower", "zero"]) -> str:
    """ "better", "worse", or nothing where the interval holds zero or the metric is best in the middle."""
    if not difference.excludes_zero or better == "zero":
        return ""
    return "better" if (difference.mean > 0) == (better == "higher") else "worse"


def _table(
    title: str, rows: dict[str, list[Interval]], keys: tuple[str, ...], cell: Callable[[Interval, Column, int], str]
) -> str:
    """Systems as rows; where there are many metrics, as columns, so that lines stay readable."""
    columns = [column(key) for key in keys]
    grid = [[title, "n", *(c.heading for c in columns)]]
    for name, intervals in rows.items():
        n = max((interval.n for interval in intervals), default=0)
        cells = [cell(interval, c, n) for interval, c in zip(intervals, columns, strict=True)]
        grid.append([name, str(n), *cells])
    if len(columns) > MOST_COLUMNS:
        grid = [list(cells) for cells in zip(*grid, strict=True)]
    lines = [f"| {' | '.join(cells)} |" for cells in grid]
    return "\n".join([lines[0], "| --- " * len(grid[0]) + "|", *lines[1:]])


def _mean(interval: Interval, c: Column, n_of_row: int) -> str:
    return _cell(interval, c, n_of_row, "")


def _difference(interval: Interval, c: Column, n_of_row: int) -> str:
    word = verdict(interval, c.better)
    return _cell(interval, c, n_of_row, "+") + (f" {word}" if word else "")


def _cell(interval: Interval, c: Column, n_of_row: int, sign: str) -> str:
    if math.isnan(interval.mean):
        return "-"
    mean, low, high = (f"{x:{sign}.{c.digits}f}" for x in (interval.mean, interval.low, interval.high))
    fewer = f", n = {interval.n}" if interval.n < n_of_row else ""
    return f"{mean} ({low} to {high}{fewer})"
