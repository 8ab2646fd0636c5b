"""Error of the periodicity: buzz where there was breath, breath where there was voice."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pitch import Pitch, pitches


def periodicity_error(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Root mean square difference of the periodicities over all frames, 0 to 1 (CARGAN, Morrison et al. 2022; also in
    BigVGAN).

    Differs from the paper: the periodicity is pYIN's probability of voice (see `pitches`), not CREPE's, so that figures
    made with CREPE do not compare.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return rms_difference(*pitches(reference, generated, sample_rate))


def rms_difference(reference: Pitch, generated: Pitch) -> float:
    """The same, of two pitch tracks."""
    return float(np.sqrt(np.mean((reference.periodicity - generated.periodicity) ** 2)))


PERIODICITY = Metric(
    key="periodicity",
    heading="periodicity error",
    unit="",
    digits=3,
    better="lower",
    source="Morrison et al. 2022 (CARGAN), with pYIN's probability of voice",
    sample_rate=16000,
    compute=periodicity_error,
    packages=("librosa",),
    install=EVAL,
)
