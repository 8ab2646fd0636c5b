"""Figures for audio: waveforms in, numbers out. It knows no model."""

from wavegrad.evaluation.bootstrap import Interval, bootstrap_interval, mean_interval
from wavegrad.evaluation.candidate import Candidate, Folder, GriffinLim, Synthesizer
from wavegrad.evaluation.clip import evaluate_clip
from wavegrad.evaluation.evaluate import EvaluationOptions, evaluate
from wavegrad.evaluation.griffin_lim import griffin_lim
from wavegrad.evaluation.log_mel import log_mel_distance
from wavegrad.evaluation.measure import measure
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pesq_wb import pesq_wb
from wavegrad.evaluation.registry import METRICS, find_metrics
from wavegrad.evaluation.results import Evaluation, Failure, System
from wavegrad.evaluation.silence import silence_difference
from wavegrad.evaluation.stoi import stoi
from wavegrad.evaluation.table import markdown_table, paired_table

__all__ = [
    "METRICS",
    "Candidate",
    "Evaluation",
    "EvaluationOptions",
    "Failure",
    "Folder",
    "GriffinLim",
    "Interval",
    "Metric",
    "Synthesizer",
    "System",
    "bootstrap_interval",
    "evaluate",
    "evaluate_clip",
    "find_metrics",
    "griffin_lim",
    "log_mel_distance",
    "markdown_table",
    "mean_interval",
    "measure",
    "paired_table",
    "pesq_wb",
    "silence_difference",
    "stoi",
]
