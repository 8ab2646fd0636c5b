"""Mel-cepstral distortion, frame by frame."""

from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.cepstrum import DB_PER_CEPSTRUM, mel_cepstra
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pair import aligned


def mel_cepstral_distortion(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """10 / ln 10 sqrt(2 sum_m (c_m - c'_m)^2) in dB, m = 1 to 13, mean over all frames (Kubichek 1993).

    The cepstra are those of `mel_cepstra`: figures made with other ones do not compare.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
    """
    wanted, got = (mel_cepstra(x, sample_rate) for x in aligned(reference, generated, sample_rate))
    return DB_PER_CEPSTRUM * (wanted - got).norm(dim=0).mean().item()


MCD = Metric(
    key="mcd_db",
    heading="MCD",
    unit="dB",
    digits=2,
    better="lower",
    source="Kubichek 1993, 13 coefficients of the log-mel spectrum",
    sample_rate=None,
    compute=mel_cepstral_distortion,
)
