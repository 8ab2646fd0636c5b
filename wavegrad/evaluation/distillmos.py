"""DistillMOS: overall quality of speech, heard without a reference."""

import contextlib
import functools
import io

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.evaluation.metric import EVAL_LARGE, Metric
from wavegrad.evaluation.pair import aligned, resampled

RATE = 16000


def distillmos(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Opinion score of the generated audio, 1 to 5 (Stahl and Gamper, ICASSP 2025, arXiv 2502.05356; the `distillmos`
    package), at 16 kHz.

    The reference is only checked.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: `distillmos` is not installed; pip install 'wavegrad-vocoder[eval-large]'.
    """
    _, generated = aligned(reference, generated, sample_rate)
    with torch.inference_mode():
        return float(_judge()(torch.from_numpy(resampled(generated, sample_rate, RATE))[None]))


@functools.cache  # a network that is only read, loaded once a process
def _judge() -> nn.Module:
    from distillmos import ConvTransformerSQAModel

    with contextlib.redirect_stdout(io.StringIO()):  # it says where its weights are
        return ConvTransformerSQAModel().eval()


DISTILLMOS = Metric(
    key="distillmos",
    heading="DistillMOS",
    unit="",
    digits=2,
    better="higher",
    source="Stahl and Gamper 2025 (DistillMOS)",
    sample_rate=RATE,
    compute=distillmos,
    packages=("distillmos",),
    install=EVAL_LARGE,
)
