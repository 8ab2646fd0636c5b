"""Figures of one clip."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import ConfigError
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.registry import find_metrics

STANDARD = ("log_mel_db", "pesq_wb", "stoi", "silence_db")
"""The figures of the model cards."""


def evaluate_clip(
    reference: Float[Tensor, " n"],
    generated: Float[Tensor, " m"],
    sample_rate: int,
    metrics: Sequence[Metric] | None = None,
) -> dict[str, float]:
    """Each metric's figure, by its key; without `metrics`, those of STANDARD.

    Raises:
        AudioError: a pair that one of the metrics cannot judge.
        ConfigError: a metric whose packages are not installed.
    """
    chosen = find_metrics(STANDARD) if metrics is None else metrics
    for metric in chosen:
        if metric.missing():
            raise ConfigError(f"{metric.key} needs {', '.join(metric.missing())}; {metric.install}")
    return {metric.key: metric.compute(reference, generated, sample_rate) for metric in chosen}
