"""Recipes: every shipped one loads, every mistake is named."""

import dataclasses

import pytest

from tests.training.conftest import ROOT
from wavegrad.errors import ConfigError
from wavegrad.training.recipe import Recipe, load_recipe

RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_loads_and_states_data_hardware_and_command(path):
    recipe = load_recipe(str(path))
    recipe.model.network_config().check_hop(recipe.model.mel_config().hop_length)
    head = path.read_text().split("[model]")[0]
    if path.stem != "template":
        assert all(word in head for word in ("Data:", "Hardware:", "Command:")), head


def keys(cls: type, prefix: str = "") -> list[str]:
    """Dotted names of all fields."""
    found = []
    for field in dataclasses.fields(cls):
        kind = {f.name: f.type for f in dataclasses.fields(cls)}[field.name]
        found += keys(kind, f"{prefix}{field.name}.") if dataclasses.is_dataclass(kind) else [prefix + field.name]
    return found


def test_the_template_documents_every_key():
    """Each key stands in its section of the template, with a comment behind it or a comment on its section."""
    import tomllib

    table = tomllib.loads((ROOT / "recipes" / "template.toml").read_text())
    for key in keys(Recipe):
        value: object = table
        for part in key.split("."):
            assert part in value, f"{key} is not in template.toml"
            value = value[part]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.batchsize=8", "batch_size"),
        ("data.batch_size=0", "batch_size 0"),
        ("data.batch_size=2.5", "data.batch_size"),
        ("data.batch_size=true", "data.batch_size"),
        ("model.network=bse", "base"),
        ("model.mel=wavegrad-24", "wavegrad-24k"),
        ("model.factors=[5, 5, 3, 2]", "factors"),
        ("model.factors=[5, 5, 3, 2, 1]", "150"),
        ("model.prior.kind=spectrum", "spectral"),
        ("schedule.beta_1=1.5", "beta"),
        ("optimizer.learning_rate=-1.0", "learning_rate"),
        ("run.accumulate=3", "multiple"),
        ("run.device=gpu", "cuda"),
    ],
)
def test_mistakes_are_refused_by_name(override, message):
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(ROOT / "recipes" / "tiny.toml"), [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
