"""Figures of many clips as a table."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

HEADINGS = {
    "log_mel_db": "log-mel distance, dB",
    "pesq_wb": "PESQ-WB",
    "stoi": "STOI",
    "silence_db": "silence, dB",
    "rtf": "real-time factor",
}
DIGITS = {"log_mel_db": 2, "pesq_wb": 3, "stoi": 3, "silence_db": 1, "rtf": 3}


def bootstrap_interval(values: Sequence[float], n_resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron and Tibshirani 1993, ch. 13)."""
    x = np.asarray(values)
    means = x[np.random.default_rng(seed).integers(len(x), size=(n_resamples, len(x)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def markdown_table(table: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """One row a system: mean of each figure with its 95 % interval, and the number of clips."""
    lines = [f"| system | n | {' | '.join(HEADINGS.values())} |", "| --- " * (len(HEADINGS) + 2) + "|"]
    for system, clips in table.items():
        cells = [_cell([clip[key] for clip in clips], DIGITS[key]) for key in HEADINGS]
        lines.append(f"| {system} | {len(clips)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: Sequence[float], digits: int) -> str:
    kept = [v for v in values if math.isfinite(v)]
    if not kept:
        return "-"
    low, high = bootstrap_interval(kept)
    return f"{sum(kept) / len(kept):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
