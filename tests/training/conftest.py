"""A tiny run on real speech."""

from dataclasses import replace
from pathlib import Path

import pytest

from wavegrad.training.data import Clip, find_clips, load_corpus
from wavegrad.training.recipe import Recipe, load_recipe

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "samples" / "reference"


@pytest.fixture
def recipe() -> Recipe:
    """tiny.toml, still smaller: two crops of four frames a step."""
    overrides = ["data.crop_frames=4", "data.batch_size=2", "run.steps=8", "run.valid_synthesis=0", "run.device=cpu"]
    return load_recipe(str(ROOT / "recipes" / "tiny.toml"), overrides)


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"))
    return load_corpus(find_clips(SPEECH), SPEECH, recipe.model.mel_config(), recipe.data, print)


def change(recipe: Recipe, section: str, **values: object) -> Recipe:
    """The recipe with some keys of one section replaced."""
    return replace(recipe, **{section: replace(getattr(recipe, section), **values)})
