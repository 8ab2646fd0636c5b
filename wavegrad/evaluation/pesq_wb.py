"""PESQ, wide band."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import AudioError
from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pair import aligned, resampled

RATE = 16000


def pesq_wb(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """PESQ-WB, 1.0 to 4.64 (ITU-T P.862.2; the `pesq` package), at 16 kHz.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or in which PESQ finds no utterance.
        ModuleNotFoundError: `pesq` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    from pesq import PesqError, pesq

    reference, generated = aligned(reference, generated, sample_rate)
    try:
        return float(pesq(RATE, resampled(reference, sample_rate, RATE), resampled(generated, sample_rate, RATE), "wb"))
    except PesqError as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise AudioError(f"PESQ: {reason.decode() if isinstance(reason, bytes) else reason}") from error


PESQ_WB = Metric(
    key="pesq_wb",
    heading="PESQ-WB",
    unit="",
    digits=3,
    better="higher",
    source="ITU-T P.862.2 (2007)",
    sample_rate=RATE,
    compute=pesq_wb,
    packages=("pesq",),
    install=EVAL,
)
