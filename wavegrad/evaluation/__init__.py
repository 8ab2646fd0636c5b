"""Figures for audio: waveforms in, numbers out. It knows no model."""

from wavegrad.evaluation.clip import evaluate_clip
from wavegrad.evaluation.griffin_lim import griffin_lim
from wavegrad.evaluation.log_mel import log_mel_distance
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pesq_wb import pesq_wb
from wavegrad.evaluation.registry import METRICS, find_metrics
from wavegrad.evaluation.silence import silence_difference
from wavegrad.evaluation.stoi import stoi
from wavegrad.evaluation.table import bootstrap_interval, markdown_table

__all__ = [
    "METRICS",
    "Metric",
    "bootstrap_interval",
    "evaluate_clip",
    "find_metrics",
    "griffin_lim",
    "log_mel_distance",
    "markdown_table",
    "pesq_wb",
    "silence_difference",
    "stoi",
]
