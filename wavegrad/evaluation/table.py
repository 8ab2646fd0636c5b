"""An evaluation as text."""

import math
from collections.abc import Mapping

from wavegrad.evaluation.bootstrap import Interval
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.registry import METRICS
from wavegrad.evaluation.results import Evaluation


def markdown_table(evaluation: Evaluation, metrics: Mapping[str, Metric] = METRICS) -> str:
    """One row a system: mean of each metric with its 95 % interval over n clips."""
    lines = _header(("system", "n"), evaluation, metrics)
    for system in evaluation.systems:
        intervals = [evaluation.interval(system.name, key) for key in evaluation.metrics]
        n = max((interval.n for interval in intervals), default=0)
        cells = [_mean(i, metrics[key], n) for i, key in zip(intervals, evaluation.metrics, strict=True)]
        lines.append(f"| {system.name} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def paired_table(evaluation: Evaluation, baseline: str, metrics: Mapping[str, Metric] = METRICS) -> str:
    """One row for each other system: its mean difference from `baseline` on the clips that both have.

    Where the 95 % interval leaves out zero, and the metric has a good end, the cell says "better" or "worse".
    """
    lines = _header((f"minus {baseline}", "n"), evaluation, metrics)
    for system in evaluation.systems:
        if system.name == baseline:
            continue
        intervals = [evaluation.difference(system.name, baseline, key) for key in evaluation.metrics]
        n = max((interval.n for interval in intervals), default=0)
        cells = [_difference(i, metrics[key], n) for i, key in zip(intervals, evaluation.metrics, strict=True)]
        lines.append(f"| {system.name} | {n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(difference: Interval, better: str) -> str:
    """ "better", "worse", or nothing where the interval holds zero or the metric is best in the middle."""
    if not difference.excludes_zero or better == "zero":
        return ""
    return "better" if (difference.mean > 0) == (better == "higher") else "worse"


def _header(first: tuple[str, ...], evaluation: Evaluation, metrics: Mapping[str, Metric]) -> list[str]:
    names = [*first, *(_heading(metrics[key]) for key in evaluation.metrics)]
    return [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]


def _heading(metric: Metric) -> str:
    return f"{metric.heading}, {metric.unit}" if metric.unit else metric.heading


def _mean(interval: Interval, metric: Metric, n_of_row: int) -> str:
    return _cell(interval, metric, n_of_row, "")


def _difference(interval: Interval, metric: Metric, n_of_row: int) -> str:
    word = verdict(interval, metric.better)
    return _cell(interval, metric, n_of_row, "+") + (f" {word}" if word else "")


def _cell(interval: Interval, metric: Metric, n_of_row: int, sign: str) -> str:
    if math.isnan(interval.mean):
        return "-"
    mean, low, high = (f"{x:{sign}.{metric.digits}f}" for x in (interval.mean, interval.low, interval.high))
    fewer = f", n = {interval.n}" if interval.n < n_of_row else ""
    return f"{mean} ({low} to {high}{fewer})"
