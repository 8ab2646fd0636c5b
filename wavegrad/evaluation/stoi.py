"""Short-time objective intelligibility."""

import warnings

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import AudioError
from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pair import aligned, resampled

RATE = 10000


def stoi(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """STOI, up to 1 (Taal et al. 2011; the `pystoi` package), at 10 kHz.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or less than 0.4 s in which there is sound.
        ModuleNotFoundError: `pystoi` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return intelligibility(reference, generated, sample_rate, extended=False)


def intelligibility(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int, extended: bool
) -> float:
    """STOI, or ESTOI where `extended`; errors as there."""
    from pystoi import stoi as measure

    name = "ESTOI" if extended else "STOI"
    reference, generated = aligned(reference, generated, sample_rate)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)  # pystoi would return 1e-5
        try:
            value = measure(*(resampled(x, sample_rate, RATE) for x in (reference, generated)), RATE, extended)
        except RuntimeWarning as error:
            raise AudioError(f"{name}: less than 0.4 s of the reference has sound in it") from error
    return float(value)


STOI = Metric(
    key="stoi",
    heading="STOI",
    unit="",
    digits=3,
    better="higher",
    source="Taal et al. 2011",
    sample_rate=RATE,
    compute=stoi,
    packages=("pystoi",),
    install=EVAL,
)
