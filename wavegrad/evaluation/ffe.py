"""F0 frame error."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pitch import Pitch, pitches

GROSS = 0.2
"""Share of the reference's F0 by which a pitch error is gross."""


def f0_frame_error(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Share of the frames with a wrong voicing decision or with an F0 more than 20 % off (FFE of Chu and Alwan 2009,
    eq. 3), 0 to 1; pitch from `pitches`.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return frame_error(*pitches(reference, generated, sample_rate))


def frame_error(reference: Pitch, generated: Pitch) -> float:
    """The same, of two pitch tracks."""
    wrong_voicing = reference.voiced != generated.voiced
    gross = np.abs(generated.f0_hz - reference.f0_hz) > GROSS * reference.f0_hz  # False where either is NaN
    return float(np.mean(wrong_voicing | gross))


FFE = Metric(
    key="ffe",
    heading="FFE",
    unit="",
    digits=3,
    better="lower",
    source="Chu and Alwan 2009, with pYIN",
    sample_rate=16000,
    compute=f0_frame_error,
    packages=("librosa",),
    install=EVAL,
)
