"""Recipes: every shipped one loads, every mistake is named."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.training.conftest import ROOT, SPEECH
from wavegrad.audio import mel_preset
from wavegrad.audio.mel import mel_filterbank
from wavegrad.errors import ConfigError
from wavegrad.network import WaveGrad
from wavegrad.training.benchmark import gflop_of_step, made_clips
from wavegrad.training.recipe import Recipe, load_recipe
from wavegrad.training.trainer import Trainer

TINY = str(ROOT / "recipes" / "tiny.toml")

RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_recipe_loads_and_states_data_hardware_and_command(path):
    recipe = load_recipe(str(path))
    recipe.model.network_config().check_hop(recipe.model.mel_config().hop_length)
    head = path.read_text().split("[model]")[0]
    if path.stem != "template":
        assert all(word in head for word in ("Data:", "Hardware:", "Command:")), head


def test_the_work_that_a_header_counts_is_that_of_its_recipe():
    """And its hours are those of that work at the rate it names."""
    pattern = r"Time: .* (\d+) TFLOP a step \(counted\), so ([\d,]+) steps take (\d+) hours at 100 TFLOP/s"
    stated = {path: found for path in RECIPES if (found := re.search(pattern, path.read_text()))}
    assert sum("TFLOP" in path.read_text() for path in RECIPES) == len(stated) > 0
    for path, found in stated.items():
        tflop = gflop_of_step(load_recipe(str(path))) / 1e3
        assert int(found[1]) == round(tflop), path
        assert int(found[3]) == round(int(found[2].replace(",", "")) * tflop / 100 / 3600), path


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_the_network_of_every_recipe_makes_a_hop_of_every_frame(path):
    """Shapes of the recipe's own network, without numbers; and a step of a tiny one with its front-end and factors."""
    recipe = load_recipe(str(path), ["run.device=cpu", "data.batch_size=2", "data.crop_frames=2", "run.accumulate=1"])
    mel = recipe.model.mel_config()
    with FakeTensorMode():
        network = WaveGrad(recipe.network_config())
        y = network(torch.zeros(2, 3 * mel.hop_length), torch.zeros(2, mel.n_mels, 3), torch.full((2,), 0.5))
    assert y.shape == (2, 3 * mel.hop_length)
    tiny = replace(recipe, model=replace(recipe.model, network="tiny"))
    assert Trainer(tiny, made_clips(tiny, 2, 0.5)).train_step().loss.isfinite()


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_every_band_of_every_recipe_hears_something(path):
    config = load_recipe(str(path)).model.mel_config()
    assert (mel_filterbank(config).sum(1) > 0).all()
    assert config.f_max <= config.sample_rate / 2


def test_changes_of_the_mel_preset():
    preset = mel_preset("wavegrad-24k")
    changed = load_recipe(TINY, ["model.mel_changes.hop_length=256", "model.mel_changes.f_min=0.0"]).model.mel_config()
    assert changed == replace(preset, hop_length=256, f_min=0.0)
    assert load_recipe(TINY).model.mel_config() == preset
    with pytest.raises(ConfigError, match="f_max 12000"):
        load_recipe(TINY, ["model.mel_changes.sample_rate=16000"])


@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("timeout") is None, reason="needs GNU timeout")
def test_the_script_measures_plans_and_trains(tmp_path):
    """The script for Base, end to end, with a tiny network and one step. The time of measuring is not planned with."""
    small = ("model.network=tiny", "data.batch_size=2", "data.crop_frames=2", "run.device=cpu", "run.valid_synthesis=0")
    sets = [word for o in (*small, "run.steps=1") for word in ("--set", o)]
    (tmp_path / "valid").mkdir()
    shutil.copy(SPEECH / "ljspeech.flac", tmp_path / "valid")
    environment = {
        **os.environ,
        **{"WAVEGRAD": f"{sys.executable} -m wavegrad", "PYTHONPATH": str(ROOT), "OPTIONS": "fused_optimizer"},
        **{"DATA": str(SPEECH), "VALID": str(tmp_path / "valid"), "RUN": str(tmp_path / "run"), "MINUTES": "60"},
    }
    script = ["sh", "recipes/base-24k.sh", *sets]
    began = time.monotonic()
    ended = subprocess.run(script, cwd=ROOT, env=environment, capture_output=True, text=True)
    took_s = time.monotonic() - began
    assert ended.returncode == 0, ended.stderr
    rows = json.loads((tmp_path / "run" / "speed.json").read_text())["rows"]
    best = max(rows, key=lambda row: row["samples_per_s"])
    plan = (tmp_path / "run" / "plan.txt").read_text()
    (planned_s,) = (int(n) / best["steps_per_s"] / 0.85 for n in re.findall(r"run\.steps=(\d+) ", plan))
    assert 3600 - took_s - 2 < planned_s < 3600 - 1
    assert f"run.fused_optimizer={str(best['options']['fused_optimizer']).lower()} " in plan
    assert "finished at step 1" in ended.stdout + ended.stderr
    assert (tmp_path / "run" / "best" / "model.safetensors").stat().st_size < 3 * 47_000  # bytes: float16


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
        ("model.griffin_lim=-1", "griffin_lim is -1"),
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
        ("run.seed=-1", "seed is -1"),
        ("run.seed=9223372036854775808", "below 2^63"),
        ("run.valid_synthesis=-1", "valid_synthesis is -1"),
        ("data.valid_clips=-1", "valid_clips is -1"),
        ("data.min_seconds=inf", "min_seconds inf"),
        ("data.silence_db=3", "silence_db, 3.0"),
        ("data.gain_db=[0, inf]", "from 0.0 to inf"),
        ("data.gain_db=[-inf, 0]", "from -inf to 0.0"),
        ("data.gain_db=[1, 0]", "from 1.0 to 0.0"),
        ("optimizer.learning_rate=inf", "learning_rate inf"),
        ("optimizer.betas=[0.9, 1]", "betas are [0.9, 1.0]"),
        ("optimizer.weight_decay=-1", "weight_decay is -1.0"),
        ("optimizer.warmup_steps=-5", "warmup_steps -5"),
        ("model.default_schedule=7", "default_schedule: expected a string"),
        ('model.default_schedule="7"', "unknown default_schedule '7'; allowed: 6, 25, 50, 1000"),
    ],
)
def test_mistakes_are_refused_by_name(override, message):
    with pytest.raises(ConfigError) as caught:
        load_recipe(str(ROOT / "recipes" / "tiny.toml"), [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
