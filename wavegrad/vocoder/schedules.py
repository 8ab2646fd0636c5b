"""Which noise schedule a call means: a model's own, a known one, or one made for the number of steps."""

import math
from collections.abc import Mapping

from wavegrad.audio.prior import PriorConfig
from wavegrad.diffusion import SCHEDULES, NoiseSchedule, named_schedule
from wavegrad.errors import ConfigError, unknown


def generic_schedule(n_steps: int, prior: PriorConfig) -> NoiseSchedule:
    """A schedule of any length for a prior, evenly spaced in log-SNR.

    A whitened waveform has unit variance at every instant, and noise 40 dB below it may be left to the last step; few
    steps are better spent on what is noisier: 16 dB up to 8 of them, and 9 dB more for each doubling. They begin at -27
    dB, beyond the noisiest level of training (-22 dB), where pure noise is the better start. Both measured on the
    models that ship (card of small-24k, "Schedule search"). With the standard prior 40 dB would drown the quiet parts
    of the raw waveform: 60 dB, WaveGrad's beta_1 = 1e-6, and nothing else was tried.
    """
    if prior.kind == "standard":
        return NoiseSchedule.log_snr(n_steps, 60.0)
    first_db = 16 + 9 * math.log2(max(n_steps, 8) / 8)
    return NoiseSchedule.log_snr(n_steps, min(40.0, first_db), -27.0)


def standard_schedules(prior: PriorConfig) -> dict[str, NoiseSchedule]:
    """What a new vocoder comes with: 6, 25, 50 and 1000 steps."""
    return {str(n): generic_schedule(n, prior) for n in (6, 25, 50, 1000)}


def choose_schedule(
    wanted: object, known: Mapping[str, NoiseSchedule], default: str, prior: PriorConfig
) -> NoiseSchedule:
    """The schedule of a name or number of steps.

    Args:
        wanted: a schedule; a name in `known`, or else of wavegrad.diffusion; a number of steps: of the default, or of
            the first in `known` that has so many, or else of `generic_schedule`; None for the default.
        known: the model's own, by name.
        default: the name of one of them.
        prior: of the model.

    Raises:
        ConfigError: there is no schedule of that name, less than one step, or `wanted` is something else.
    """
    if isinstance(wanted, NoiseSchedule):
        return wanted
    if wanted is None:
        return known[default]
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        of_that_length = (s for s in (known[default], *known.values()) if s.n_steps == wanted)
        return next(of_that_length, None) or generic_schedule(wanted, prior)
    if not isinstance(wanted, str):
        raise ConfigError(
            f"schedule is {wanted!r}; pass NoiseSchedule(betas), the name of a schedule, or a number of steps (an int)"
        )
    if wanted in known:
        return known[wanted]
    if wanted in SCHEDULES:
        return named_schedule(wanted)
    raise ConfigError(unknown("schedule", wanted, [*known, *SCHEDULES]))
