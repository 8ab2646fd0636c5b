"""Hiss: how loud the silence is."""

import math

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import aligned

FRAME_S = 0.025
BELOW_LOUDEST_DB = 40.0


def silence_difference(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Mean energy of the generated silence over that of the reference's, dB; positive is hiss.

    Silence is every 25 ms frame of the reference at least 40 dB below its loudest one. NaN where there is none.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
    """
    reference, generated = aligned(reference, generated, sample_rate)
    n = round(FRAME_S * sample_rate)
    kept = len(reference) // n * n
    was, is_now = (x[:kept].double().unflatten(0, (-1, n)).square().mean(1) for x in (reference, generated))
    silent = was < was.max() * 10 ** (-BELOW_LOUDEST_DB / 10)
    if not silent.any() or was[silent].sum() == 0:
        return float("nan")
    return 10 * math.log10(max((is_now[silent].sum() / was[silent].sum()).item(), 1e-12))


SILENCE = Metric(
    key="silence_db",
    heading="silence",
    unit="dB",
    digits=1,
    better="zero",
    source="energy of the generated silence over the reference's",
    sample_rate=None,
    compute=silence_difference,
)
