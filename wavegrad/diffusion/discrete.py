"""Models that are told the index of a step, not its noise level: which schedules they can be sampled with."""

from collections.abc import Sequence

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError

SAME_LEVEL = 2.0**-23
"""Levels that differ by less are the same one, rounded: twice the spacing of float32 below 1."""


def find_steps(levels: Sequence[float], training: NoiseSchedule, what: str) -> list[int]:
    """The step n of the training schedule that each level is.

    Args:
        levels: sqrt(alpha_bar), in any order.
        training: the schedule whose indices the model knows.
        what: what the levels are of, for the message.

    Raises:
        ConfigError: a level that is none of the training schedule's.
    """
    known = training.noise_levels.tolist()
    steps = []
    for level in levels:
        nearest = min(range(1, len(known)), key=lambda n: abs(known[n] - level))
        if abs(known[nearest] - level) > SAME_LEVEL:
            raise ConfigError(
                f"{what} asks for sqrt(alpha_bar) = {level:.6g}, which is no step of the training schedule; this model "
                f"knows the indices of its {training.n_steps} training steps only: pass a number of steps, or a part "
                f"of the training schedule (the nearest level is {known[nearest]:.6g}, step {nearest})"
            )
        steps.append(nearest)
    return steps


def sub_schedules(training: NoiseSchedule) -> dict[str, NoiseSchedule]:
    """What a new model that knows indices comes with: evenly spaced parts of the training schedule, and all of it."""
    counts = sorted({n for n in (6, 25, 50, training.n_steps) if n <= training.n_steps})
    return {str(n): training.strided(n) for n in counts}
