"""What we tell users: one clear line for every mistake that is theirs."""

import difflib
from collections.abc import Iterable


class WavegradError(ValueError):
    """The user's mistake, in one line: what is wrong, what is allowed, what to do. Exit code 2 on the command line."""


class ConfigError(WavegradError):
    """A recipe, preset, schedule or option that makes no sense."""


class AudioError(WavegradError):
    """An audio or mel input that cannot be used."""


class CheckpointError(WavegradError):
    """A model directory or checkpoint that cannot be loaded."""


class CorpusError(WavegradError):
    """A corpus that cannot be fetched or prepared."""


class TrainingError(WavegradError):
    """A training run that cannot start or go on."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> str:
    """One line for a name that does not exist: the nearest known one, and all that are allowed."""
    names = list(allowed)
    nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f": did you mean {nearest[0]!r}?" if nearest else ";"
    return f"unknown {kind} {name!r}{hint} allowed: {', '.join(names)}"
