"""Several processes: what they compute together is what one computes alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.conftest import ROOT, SPEECH, change
from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.loop import train
from wavegrad.training.recipe import load_recipe
from wavegrad.training.state import load_newest
from wavegrad.training.trainer import Trainer
from wavegrad.training.world import World

SMALL = ["data.crop_frames=4", "run.valid_synthesis=0", "run.device=cpu", "run.validate_every=100000"]
SMALL += ["run.precision=float32"]


def torchrun(n: int, run: Path, *overrides: str) -> list[str]:
    """The command that trains tiny.toml in `n` processes."""
    sets = [word for o in (*SMALL, *overrides) for word in ("--set", o)]
    options = [f"--nproc-per-node={n}", "--standalone"]
    recipe = str(ROOT / "recipes" / "tiny.toml")
    return [
        *(sys.executable, "-m", "torch.distributed.run", *options, "-m", "wavegrad"),
        *("train", recipe, "--data", str(SPEECH), "--run-dir", str(run), *sets),
    ]


def launch(command: list[str], out: Path) -> tuple[int, str]:
    """Exit code and output of a command; torchrun stops its processes when it is stopped."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with out.open("w") as file, subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file) as job:
        try:
            job.wait()
        finally:
            job.terminate()
    return job.returncode, out.read_text()


def weights(run: Path) -> tuple[int, torch.Tensor]:
    state = load_newest(run / "checkpoints", print)
    return state.step, torch.cat([v.flatten() for v in state.network.values()])


@pytest.mark.timeout(900)
def test_two_ranks_train_the_weights_of_one_also_with_accumulation(tmp_path):
    """A run of one process that two go on with, in two micro-batches each, is the run that one does alone.

    Float32, 6 steps of Adam: 2e-4 of the largest weight.
    """
    steps = ["data.batch_size=8", "run.steps=6", "run.checkpoint_every=3"]
    recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"), [*SMALL, *steps])
    train(recipe, SPEECH, tmp_path / "alone")
    train(change(recipe, "run", steps=2), SPEECH, tmp_path / "mixed")
    code, out = launch(torchrun(2, tmp_path / "mixed", *steps, "run.accumulate=2"), tmp_path / "out.txt")
    assert code == 0, out
    (step, alone), (again, together) = weights(tmp_path / "alone"), weights(tmp_path / "mixed")
    assert step == again == 6
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-4 * alone.abs().max().item())
    lines = (tmp_path / "mixed" / "log.jsonl").read_text().splitlines()
    assert sum('"valid"' in line for line in lines) == 2  # after steps 2 and 6: the first rank alone logs and validates


def test_ranks_in_bfloat16_warn_of_nothing(tmp_path):
    """DistributedDataParallel used to complain about strides of kernels of one, which say nothing."""
    command = torchrun(2, tmp_path / "run", "run.precision=bfloat16", "run.steps=1", "data.batch_size=2")
    code, out = launch(command, tmp_path / "out.txt")
    assert code == 0, out
    assert "Warning" not in out


@pytest.mark.parametrize("refinement", [0.0, 0.3])
def test_the_parts_of_two_ranks_sum_to_the_loss_and_gradient_of_the_step(recipe, clips, refinement):
    """Without processes: each rank's share, its clips shorter than a crop included, adds up (float64-close)."""
    short = [type(c)(c.name, c.pcm[: 700 + 450 * i]) for i, c in enumerate(clips)]
    recipe = change(change(recipe, "data", batch_size=8), "run", accumulate=2)
    recipe = change(recipe, "refinement", weight=refinement, steps=(2,), every=3)
    alone = Trainer(change(recipe, "run", accumulate=1), short)
    whole = alone._loss(alone._targets(), 0, 1)
    whole.loss.backward()
    total, items = 0.0, []
    gradient: dict[str, torch.Tensor] = {}
    for rank in range(2):
        trainer = Trainer(recipe, short, World())
        for i in range(2):
            share = trainer._loss(trainer._targets(), 2 * rank + i, 4)
            share.loss.backward()
            total += share.loss.item()
            items.append(share.of_items)
        for name, p in trainer.network.named_parameters():
            gradient[name] = gradient.get(name, 0) + p.grad
    assert total == pytest.approx(whole.loss.item(), rel=1e-5)
    torch.testing.assert_close(torch.cat(items), whole.of_items, rtol=1e-5, atol=1e-6)
    for name, p in alone.network.named_parameters():
        torch.testing.assert_close(gradient[name], p.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("changed", [None, "checkpoint", "set of train clips"])
def test_processes_that_were_given_different_things_do_not_start(changed):
    """One that did not see the checkpoint trained along from its own first weights, and nothing was said."""
    facts, heard = {"recipe": "a", "checkpoint": "500", "set of train clips": "b"}, []

    class Met(World):
        """A world of two, whose second process comes after the first."""

        def gather(self, x: torch.Tensor) -> torch.Tensor:
            heard.append(x)
            return torch.cat((heard[0], x))

    Met(0, 2).check_same(facts, torch.device("cpu"))
    if changed is None:
        Met(1, 2).check_same(facts, torch.device("cpu"))
        return
    with pytest.raises(TrainingError, match=f"^rank 1 of 2 has another {changed} than rank 0; all processes must be"):
        Met(1, 2).check_same({**facts, changed: "0"}, torch.device("cpu"))


def test_a_batch_that_cannot_be_cut_is_refused(recipe, clips):
    with pytest.raises(ConfigError, match=r"batch_size 2 is not a multiple of 3 \(3 processes of 1 micro-batches\)"):
        Trainer(recipe, clips, World(rank=0, size=3))
