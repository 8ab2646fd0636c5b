"""All figures of one clip."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.log_mel import log_mel_distance
from wavegrad.evaluation.pesq_wb import pesq_wb
from wavegrad.evaluation.silence import silence_difference
from wavegrad.evaluation.stoi import stoi


def evaluate_clip(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> dict[str, float]:
    """log_mel_db, pesq_wb, stoi and silence_db.

    Raises:
        AudioError: lengths that do not belong together, or audio in which a metric finds no speech.
        ModuleNotFoundError: the extra [eval] is not installed.
    """
    return {
        "log_mel_db": log_mel_distance(reference, generated, sample_rate),
        "pesq_wb": pesq_wb(reference, generated, sample_rate),
        "stoi": stoi(reference, generated, sample_rate),
        "silence_db": silence_difference(reference, generated, sample_rate),
    }
