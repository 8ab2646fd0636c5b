"""`wavegrad benchmark train`: figures that fit each other, and operations counted by another hand."""

import json
import sys

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.training.conftest import ROOT, change
from wavegrad.cli.main import main
from wavegrad.inference.speed import MATRIX_SIZE
from wavegrad.training.benchmark import SWITCHES, default_switches, gflop_of_step, made_clips, variants
from wavegrad.training.recipe import load_recipe
from wavegrad.training.trainer import Trainer

TINY = ["--set", "data.crop_frames=4", "--set", "data.batch_size=2", "--set", "run.device=cpu"]


def run(monkeypatch, *arguments: object) -> None:
    recipe = ROOT / "recipes" / "tiny.toml"
    monkeypatch.setattr(sys, "argv", ["wavegrad", "benchmark", "train", str(recipe), *TINY, *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        if end.code:
            raise


def test_the_figures_of_a_row_fit_each_other(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(MATRIX_SIZE, "cpu", 128)
    out = tmp_path / "train.json"
    options = ("--options", "channels_last,precision", "--runs", 1, "--steps", 1)
    run(monkeypatch, *options, "--threads", 1, "--out", out)
    table = json.loads(out.read_text())
    rows = {row["name"]: row for row in table["rows"]}
    keys = ("channels_last", "precision")
    assert list(rows) == ["plain", *(f"plain + {k}" for k in keys), *(f"all - {k}" for k in keys), "all"]
    for row in rows.values():
        assert row["steps_per_s"] * row["step_s"] == pytest.approx(1)
        assert row["samples_per_s"] == pytest.approx(2 * 4 * 300 * row["steps_per_s"])
        assert row["gflop_per_s"] == pytest.approx(row["gflop"] / row["step_s"])
        assert row["share_of_matrix_rate"] == pytest.approx(row["gflop_per_s"] / row["matrix_gflop_per_s"])
        assert row["slowest_s"] >= row["step_s"]
        assert row["peak_memory_mb"] > 10 * row["kept_mb"] > 1
    assert rows["plain"]["speed_to_plain"] == rows["all"]["speed_to_all"] == 1
    assert rows["plain"]["speed_to_all"] * rows["all"]["speed_to_plain"] == pytest.approx(1, rel=0.5)
    same = rows["plain"]["matrix_gflop_per_s"] == rows["plain + channels_last"]["matrix_gflop_per_s"]
    assert same, "one matrix rate for each precision"
    assert rows["plain"]["matrix_gflop_per_s"] != rows["all"]["matrix_gflop_per_s"]
    assert table["machine"]["threads"] == 1
    assert len(capsys.readouterr().out.splitlines()) == len(rows)


def test_variants_switch_one_option_at_a_time():
    sets = variants(tuple(SWITCHES))
    off, on = sets["plain"], sets["all"]
    assert all(off[key] != on[key] for key in SWITCHES)
    for key in SWITCHES:
        added, removed = sets[f"plain + {key}"], sets[f"all - {key}"]
        assert [k for k in SWITCHES if added[k] != off[k]] == [key] == [k for k in SWITCHES if removed[k] != on[k]]
    assert variants(["compile"]) == {"plain": {"compile": False}, "all": {"compile": True}}


@pytest.mark.parametrize("units", [True, False])
def test_the_precision_is_switched_where_there_are_units_for_it(monkeypatch, units):
    """Where bfloat16 is emulated it is slow, which is no news; --options can still name it."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": units})
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation: units)
    on_cpu, on_gpu = (default_switches(torch.device(name)) for name in ("cpu", "cuda"))
    rest = ("channels_last", "fused_film", "fused_optimizer", "whole_mels")
    assert on_cpu == ("precision", *rest)[not units :]
    assert set(SWITCHES) - set(on_gpu) == (set() if units else {"precision"})


def test_the_command_switches_them_by_default(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "wavegrad.training.benchmark.measure_steps", lambda recipe, keys, *counts: asked.append(keys) or []
    )
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"amx_bf16": True})
    run(monkeypatch)
    assert asked == [default_switches(torch.device("cpu"))]
    assert asked[0][0] == "precision"


@pytest.mark.parametrize("network", ["tiny", "small"])
def test_operations_are_those_that_pytorch_counts(recipe, network):
    """PyTorch leaves out the gradients of the first layers' inputs, and counts the noise embedding: 3 %."""
    recipe = change(recipe, "model", network=network)
    trainer = Trainer(recipe, made_clips(recipe, 2))
    with FlopCounterMode(display=False) as counter:
        trainer.train_step()
    counted = counter.get_flop_counts()["Global"]
    convolutions = sum(n for operator, n in counted.items() if "convolution" in str(operator))
    assert gflop_of_step(recipe) == pytest.approx(convolutions / 1e9, rel=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--options", "compiled"), "unknown option 'compiled': did you mean 'compile'"),
        (("--out", "nowhere/train.json"), "there is no folder nowhere"),
        (("--set", "data.batchsize=4"), "batch_size"),
    ],
)
def test_mistakes(monkeypatch, capsys, options, message):
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, *options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_every_switch_is_a_key_of_the_recipe_with_these_values():
    for key, values in SWITCHES.items():
        for value in values:
            text = str(value).lower()
            recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"), [f"run.{key}={text}"])
            assert getattr(recipe.run, key) == value
