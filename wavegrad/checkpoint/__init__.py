"""Models as files: the model directory, and how a name leads to one."""

from wavegrad.checkpoint.hub import default_model, resolve_model, shipped_models
from wavegrad.checkpoint.model_dir import Model, ModelConfig, load_config, load_model, load_schedules, save_model
from wavegrad.checkpoint.weights import WeightsInfo

__all__ = [
    "Model",
    "ModelConfig",
    "WeightsInfo",
    "default_model",
    "load_config",
    "load_model",
    "load_schedules",
    "resolve_model",
    "save_model",
    "shipped_models",
]
