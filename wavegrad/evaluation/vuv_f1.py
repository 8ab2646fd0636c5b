"""Voiced or unvoiced."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pitch import Pitch, pitches


def voicing_f1(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """F1 of the voicing decision, 0 to 1: 2 hits / (2 hits + misses + false alarms), "voiced" being what is looked for
    and the reference the truth (V/UV F1 of CARGAN, Morrison et al. 2022); voicing from `pitches`. NaN where no frame of
    the reference is voiced: there is nothing to find.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return f1(*pitches(reference, generated, sample_rate))


def f1(reference: Pitch, generated: Pitch) -> float:
    """The same, of two pitch tracks."""
    if not reference.voiced.any():
        return float("nan")
    hits = (reference.voiced & generated.voiced).sum()
    return float(2 * hits / (reference.voiced.sum() + generated.voiced.sum()))


VUV_F1 = Metric(
    key="vuv_f1",
    heading="V/UV F1",
    unit="",
    digits=3,
    better="higher",
    source="Morrison et al. 2022 (CARGAN), with pYIN",
    sample_rate=16000,
    compute=voicing_f1,
    packages=("librosa",),
    install=EVAL,
)
