"""Searching noise schedules for a trained vocoder. It changes no model."""

from wavegrad.search.bound import jump_bound, schedule_bound
from wavegrad.search.coordinate import coordinate_method
from wavegrad.search.dynamic_programming import best_schedules
from wavegrad.search.evaluator import LOSS, Outcome, Task, VocoderSetup
from wavegrad.search.grid import grid_method, paper_grid
from wavegrad.search.journal import Journal
from wavegrad.search.judge import judge
from wavegrad.search.objective import Objective
from wavegrad.search.optuna_methods import optuna_method
from wavegrad.search.processes import Processes
from wavegrad.search.ray_cluster import Ray
from wavegrad.search.result import Judged, Provenance, Searched, add_to_model, result_table, write_json
from wavegrad.search.search import Budget, Found, SearchOptions, search
from wavegrad.search.space import SearchSpace, schedule_db
from wavegrad.search.table import LossTable, evenly_spaced_levels, measure_losses
from wavegrad.search.terminal import draw_terminal_levels
from wavegrad.search.together import sample_together
from wavegrad.search.trial import Method, Trial
from wavegrad.search.workers import InProcess, Pool

__all__ = [
    "LOSS",
    "Budget",
    "Found",
    "InProcess",
    "Journal",
    "Judged",
    "LossTable",
    "Method",
    "Objective",
    "Outcome",
    "Pool",
    "Processes",
    "Provenance",
    "Ray",
    "SearchOptions",
    "SearchSpace",
    "Searched",
    "Task",
    "Trial",
    "VocoderSetup",
    "add_to_model",
    "best_schedules",
    "coordinate_method",
    "draw_terminal_levels",
    "evenly_spaced_levels",
    "grid_method",
    "judge",
    "jump_bound",
    "measure_losses",
    "optuna_method",
    "paper_grid",
    "result_table",
    "sample_together",
    "schedule_bound",
    "schedule_db",
    "search",
    "write_json",
]
