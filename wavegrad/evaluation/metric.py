"""What a metric is: a figure with its name, its unit, its source and what it needs."""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

EVAL = "pip install 'wavegrad-vocoder[eval]'"
EVAL_LARGE = "pip install 'wavegrad-vocoder[eval-large]'"


@dataclass(frozen=True)
class Metric:
    """One figure of a pair of waveforms; it stands in the file of the function that computes it."""

    key: str
    """Its name in commands, CSV and JSON."""
    heading: str
    """Its name in tables, without the unit."""
    unit: str
    """"dB", "cents", ...; empty where there is none."""
    digits: int
    """Decimals that mean something."""
    better: Literal["higher", "lower", "zero"]
    """Which values are good ones; "zero" is nearest to zero, from either side."""
    source: str
    """Who defined it, in one line."""
    sample_rate: int | None
    """The audio is brought to this rate inside, in Hz; None: judged at its own."""
    compute: Callable[[Float[Tensor, " n"], Float[Tensor, " m"], int], float]
    """reference, generated, sample_rate -> figure. AudioError: a pair that cannot be judged; NaN: one that has nothing
    of what this metric judges, as silence or voice."""
    packages: tuple[str, ...] = ()
    """Names to import that are no base dependencies."""
    install: str = ""
    """What to do where something is missing."""
    variables: tuple[str, ...] = ()
    """Environment variables that have to be set."""

    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed and variables that are not set; nothing is imported."""
        packages = tuple(name for name in self.packages if importlib.util.find_spec(name) is None)
        return packages + tuple(name for name in self.variables if not os.environ.get(name))
