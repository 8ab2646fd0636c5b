"""Training: recipes, data, the step of Algorithm 1, checkpoints, log. Inference never imports it."""

from wavegrad.training.loop import Outcome, train
from wavegrad.training.recipe import Recipe, load_recipe

__all__ = ["Outcome", "Recipe", "load_recipe", "train"]
