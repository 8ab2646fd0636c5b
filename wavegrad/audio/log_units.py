"""The unit of a mel, from the factor between two of them and from its range."""

import math
from typing import Literal

from torch import Tensor

NEPER_DB = 20 / math.log(10)
DB_PER_UNIT = {
    ("ln", "magnitudes"): NEPER_DB,
    ("ln", "powers"): NEPER_DB / 2,
    ("log10", "magnitudes"): 20.0,
    ("log10", "powers"): 10.0,
    ("dB", ""): 1.0,
}
"""What one unit is worth, by logarithm and by what the bands add up."""
TOLERANCE = 0.03
"""Of a factor; the nearest two differ by 6 %. A fit that leaves something over has a factor less sure."""


def change_of_unit(factor: float, residual: float = 0.0) -> tuple[tuple[Literal["log", "power"], str], ...] | None:
    """What `B = factor * A + ...` says about the logarithms of A and B; () for no change, None for none that is known.

    Args:
        factor: above 0.
        residual: what the fit leaves over, as a share of the variation.

    ln -> log10 is 0.434, ln -> dB 8.69 or 4.34, log10 -> dB 20 or 10, magnitudes -> powers 2, and their inverses.
    """
    tolerance = TOLERANCE + 0.15 * residual**2
    if abs(math.log(factor)) < tolerance:
        return ()
    distances = {
        (of_a, of_b): abs(math.log(factor * unit_b / unit_a))
        for of_a, unit_a in DB_PER_UNIT.items()
        for of_b, unit_b in DB_PER_UNIT.items()
    }
    (log_a, sum_a), (log_b, sum_b) = min(distances, key=lambda pair: distances[pair])
    if min(distances.values()) > tolerance:
        return None
    if log_a == log_b:
        return (("power", f"power: A adds up {sum_a}, B {sum_b}"),)
    of_a, of_b = (f"{log} of {total}" if total else log for log, total in ((log_a, sum_a), (log_b, sum_b)))
    if sum_a == sum_b:  # of magnitudes or of powers: the factor is the same
        return (("log", f"logarithm: A is in {log_a}, B in {log_b}"),)
    text = f"logarithm: A is in {of_a}, B in {of_b}"
    return (("log", text), ("power", text)) if sum_a and sum_b else (("log", text),)


def normalisation(a: Tensor, b: Tensor) -> str | None:
    """Which of the two has been normalised, by its range; None where none looks so, or both do."""
    of_a, of_b = _normalised(a), _normalised(b)
    if (of_a is None) == (of_b is None):
        return None
    return f"A is {of_a}, B is not" if of_a else f"B is {of_b}, A is not"


def _normalised(mel: Tensor) -> str | None:
    low, high = mel.min().item(), mel.max().item()
    if low >= -1e-3 and high <= 1 + 1e-3:
        exact = low < 1e-3 and high > 1 - 1e-3
        return "scaled to 0 ... 1" + (", by its own minimum and maximum" if exact else "")
    for limit in (1, 4):
        if abs(low + limit) < 1e-3 * limit and high <= limit * (1 + 1e-3):
            return f"scaled to -{limit} ... {limit}"
    if abs(mel.mean().item()) < 0.05 and abs(mel.std().item() - 1) < 0.05:
        return "standardised to mean 0 and variance 1"
    return None
