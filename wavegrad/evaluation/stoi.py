"""Short-time objective intelligibility."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.pair import aligned, resampled


def stoi(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """STOI, up to 1 (Taal et al. 2011; the `pystoi` package), at 10 kHz.

    Raises:
        AudioError: lengths that differ by more than 50 ms.
        ModuleNotFoundError: `pystoi` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    from pystoi import stoi as measure

    reference, generated = aligned(reference, generated, sample_rate)
    return float(measure(resampled(reference, sample_rate, 10000), resampled(generated, sample_rate, 10000), 10000))
