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
        AudioError: lengths that differ by more than 50 ms, or less than 0.4 s in which there is sound.
        ModuleNotFoundError: `pystoi` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    from pystoi import stoi as measure

    reference, generated = aligned(reference, generated, sample_rate)
    if not reference.any():
        raise AudioError("STOI: the reference is silent")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)  # pystoi would return 1e-5
        try:
            value = measure(resampled(reference, sample_rate, RATE), resampled(generated, sample_rate, RATE), RATE)
        except RuntimeWarning as error:
            raise AudioError("STOI: less than 0.4 s of the reference has sound in it") from error
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
