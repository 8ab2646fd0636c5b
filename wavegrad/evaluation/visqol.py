"""ViSQOL: how alike two neurograms look."""

import functools
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import AudioError
from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pair import aligned, resampled

if TYPE_CHECKING:
    from visqol import VisqolApi

RATE = 16000


def visqol(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Opinion score, 1 to 5 (ViSQOL v3 in speech mode with its lattice, Chinen et al. 2020; the `visqol-python`
    package), at 16 kHz.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or in which ViSQOL finds no speech to compare.
        ModuleNotFoundError: `visqol` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    reference, generated = aligned(reference, generated, sample_rate)
    first, second = (resampled(x, sample_rate, RATE).astype("float64") for x in (reference, generated))
    try:
        return float(_judge().measure_from_arrays(first, second, RATE).moslqo)
    except (RuntimeError, ValueError) as error:
        raise AudioError(f"ViSQOL: {error}") from error


@functools.cache  # a lattice that is only read, loaded once a process
def _judge() -> "VisqolApi":
    from visqol import VisqolApi

    judge = VisqolApi()
    judge.create(mode="speech", use_lattice_model=True)
    return judge


VISQOL = Metric(
    key="visqol",
    heading="ViSQOL",
    unit="",
    digits=2,
    better="higher",
    source="Chinen et al. 2020 (ViSQOL v3), speech mode",
    sample_rate=RATE,
    compute=visqol,
    packages=("visqol", "ai_edge_litert"),
    install=EVAL,
)
