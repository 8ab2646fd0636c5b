"""Error of the pitch."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pitch import Pitch, pitches


def f0_rmse(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Root mean square of 1200 log2(F0' / F0) in cents, over the frames that are voiced in both (pitch RMSE of CARGAN,
    Morrison et al. 2022, there with CREPE; see `pitches`). NaN where there is no such frame.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return rmse_cents(*pitches(reference, generated, sample_rate))


def rmse_cents(reference: Pitch, generated: Pitch) -> float:
    """The same, of two pitch tracks."""
    both = reference.voiced & generated.voiced
    if not both.any():
        return float("nan")
    cents = 1200 * np.log2(generated.f0_hz[both] / reference.f0_hz[both])
    return float(np.sqrt(np.mean(cents**2)))


F0_RMSE = Metric(
    key="f0_rmse_cents",
    heading="F0 RMSE",
    unit="cents",
    digits=1,
    better="lower",
    source="Morrison et al. 2022 (CARGAN), with pYIN",
    sample_rate=16000,
    compute=f0_rmse,
    packages=("librosa",),
    install=EVAL,
)
