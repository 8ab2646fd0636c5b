"""Extended short-time objective intelligibility."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.stoi import RATE, intelligibility


def estoi(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """ESTOI, up to 1 (Jensen and Taal 2016; the `pystoi` package), at 10 kHz.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or less than 0.4 s in which there is sound.
        ModuleNotFoundError: `pystoi` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    return intelligibility(reference, generated, sample_rate, extended=True)


ESTOI = Metric(
    key="estoi",
    heading="ESTOI",
    unit="",
    digits=3,
    better="higher",
    source="Jensen and Taal 2016",
    sample_rate=RATE,
    compute=estoi,
    packages=("pystoi",),
    install=EVAL,
)
