"""DNSMOS: overall quality of noisy speech, heard without a reference."""

import numpy as np
from jaxtyping import Float
from torch import Tensor

from wavegrad.evaluation.metric import EVAL, Metric
from wavegrad.evaluation.pair import aligned, resampled

RATE = 16000


def dnsmos(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Overall opinion score of the generated audio, 1 to 5 (OVRL of DNSMOS P.835, Reddy et al., ICASSP 2022; the
    `speechmos` package), at 16 kHz.

    The reference is only checked. Clips below 9 s are repeated, as the package does; samples beyond [-1, 1] are
    clipped, which it would refuse.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: `speechmos` is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    from speechmos import dnsmos as package  # keeps its networks loaded

    _, generated = aligned(reference, generated, sample_rate)
    samples = np.clip(resampled(generated, sample_rate, RATE), -1, 1)
    return float(package.run(samples, RATE)["ovrl_mos"])


DNSMOS = Metric(
    key="dnsmos",
    heading="DNSMOS",
    unit="",
    digits=2,
    better="higher",
    source="Reddy et al. 2022 (DNSMOS P.835), OVRL",
    sample_rate=RATE,
    compute=dnsmos,
    packages=("speechmos", "librosa", "onnxruntime", "requests"),
    install=EVAL,
)
