"""How sure a mean is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float
    n: int
    """Values that it is made of; with none, the other fields are NaN."""

    @property
    def excludes_zero(self) -> bool:
        """Whether the sign of the mean is settled. Never, where there is a single value."""
        return self.n > 1 and (self.low > 0 or self.high < 0)


def bootstrap_interval(values: Sequence[float], n_resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % percentile bootstrap interval of the mean (Efron and Tibshirani 1993, ch. 13)."""
    x = np.asarray(values)
    means = x[np.random.default_rng(seed).integers(len(x), size=(n_resamples, len(x)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and interval of the finite values."""
    kept = [value for value in values if math.isfinite(value)]
    if not kept:
        return Interval(math.nan, math.nan, math.nan, 0)
    low, high = bootstrap_interval(kept)
    return Interval(sum(kept) / len(kept), low, high, len(kept))
