"""What a schedule is judged by: a figure, or a weighted sum of figures."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from wavegrad.errors import ConfigError, unknown
from wavegrad.evaluation import METRICS

BOUND = "bound"
"""The variational bound on the clips, nats a sample; it needs no synthesis."""
TERM = re.compile(r"\s*([+-]?)\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)\s*\*\s*)?([A-Za-z]\w*)\s*")


@dataclass(frozen=True)
class Objective:
    """A score, higher is better.

    A figure alone is turned so that better is higher. A weighted sum is taken as it is written, so that the user states
    the signs: "pesq_wb - 0.1*log_mel_db". Figures that are best at zero count by their distance from it.
    """

    text: str
    terms: tuple[tuple[float, str], ...]

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """Read "pesq_wb", "bound" or "pesq_wb - 0.1*log_mel_db".

        Raises:
            ConfigError: no such figure, no such syntax, or packages of a metric are missing.
        """
        terms: list[tuple[float, str]] = []
        position = 0
        while position < len(text):
            match = TERM.match(text, position)
            if match is None or (terms and not match[1]):
                raise ConfigError(f"objective {text!r} is not understood; write for example pesq_wb - 0.1*log_mel_db")
            terms.append((float(match[2] or 1) * (-1 if match[1] == "-" else 1), match[3]))
            position = match.end()
        if not terms:
            raise ConfigError("the objective is empty; write for example pesq_wb, or bound")
        return cls(text, _checked(text, tuple(terms)))

    @property
    def needs_synthesis(self) -> bool:
        """False for the bound."""
        return self.terms[0][1] != BOUND

    @property
    def keys(self) -> tuple[str, ...]:
        """The metrics that are needed."""
        return tuple(key for _, key in self.terms)

    def score(self, figures: Mapping[str, float]) -> float:
        """From the figures of one clip."""
        zero = {key for key in self.keys if key in METRICS and METRICS[key].better == "zero"}
        return sum(weight * (abs(figures[key]) if key in zero else figures[key]) for weight, key in self.terms)


def _checked(text: str, terms: tuple[tuple[float, str], ...]) -> tuple[tuple[float, str], ...]:
    for _, key in terms:
        if key != BOUND and key not in METRICS:
            raise ConfigError(unknown("objective", key, [BOUND, *METRICS]))
        if key == BOUND and len(terms) > 1:
            raise ConfigError(f"objective {text!r}: the bound cannot be mixed with figures of the audio")
        missing = METRICS[key].missing() if key != BOUND else ()
        if missing:
            raise ConfigError(f"objective {key!r} needs {', '.join(missing)}; {METRICS[key].install}")
    if len(terms) > 1:
        return terms
    key = terms[0][1]
    better_high = key != BOUND and METRICS[key].better == "higher"
    return ((1.0 if better_high else -1.0, key),)
