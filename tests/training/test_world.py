"""Several processes: what they compute together is what one computes alone."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.conftest import ROOT, SPEECH, change
from wavegrad.errors import ConfigError
from wavegrad.training.loop import train
from wavegrad.training.recipe import load_recipe
from wavegrad.training.state import load_newest
from wavegrad.training.trainer import Trainer
from wavegrad.training.world import World

SMALL = ["data.crop_frames=4", "run.valid_synthesis=0", "run.device=cpu", "run.validate_every=100000"]


def torchrun(n: int, run: object, *overrides: str, restarts: int = 0) -> list[str]:
    sets = [word for o in (*SMALL, *overrides) for word in ("--set", o)]
    launch = [f"--nproc-per-node={n}", f"--max-restarts={restarts}", "--standalone", "-m", "wavegrad"]
    recipe = str(ROOT / "recipes" / "tiny.toml")
    return [
        *(sys.executable, "-m", "torch.distributed.run", *launch),
        *("train", recipe, "--data", str(SPEECH), "--run-dir", str(run), *sets),
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def weights(run: object) -> tuple[int, torch.Tensor]:
    state = load_newest(run / "checkpoints", print)
    return state.step, torch.cat([v.flatten() for v in state.network.values()])


def test_two_ranks_train_the_weights_of_one_also_with_accumulation(tmp_path):
    """Also: a run may go on with another number of ranks. Float32, 6 steps of Adam: 2e-4 of the largest weight."""
    steps = ["data.batch_size=8", "run.steps=6", "run.checkpoint_every=3"]
    alone_recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"), [*SMALL, *steps])
    train(alone_recipe, SPEECH, tmp_path / "one")
    train(change(alone_recipe, "run", steps=3), SPEECH, tmp_path / "mixed")
    subprocess.run(torchrun(2, tmp_path / "two", *steps, "run.accumulate=2"), env=environment(), check=True, cwd=ROOT)
    subprocess.run(torchrun(2, tmp_path / "mixed", *steps), env=environment(), check=True, cwd=ROOT)
    alone = weights(tmp_path / "one")
    assert alone[0] == 6
    for name in ("two", "mixed"):
        step, together = weights(tmp_path / name)
        assert step == 6
        torch.testing.assert_close(together, alone[1], rtol=0, atol=2e-4 * alone[1].abs().max().item())
    lines = (tmp_path / "two" / "log.jsonl").read_text().splitlines()
    assert sum('"valid"' in line for line in lines) == 1  # the first rank alone logs and validates


def test_the_parts_of_two_ranks_sum_to_the_loss_and_gradient_of_the_step(recipe, clips):
    """Without processes: each rank's share, its clips shorter than a crop included, adds up (float64-close)."""
    short = [type(c)(c.name, c.pcm[: 700 + 450 * i]) for i, c in enumerate(clips)]
    recipe = change(change(recipe, "data", batch_size=8), "run", accumulate=2)
    alone = Trainer(change(recipe, "run", accumulate=1), short)
    whole = alone._loss(0, 1)
    whole.backward()
    total = 0.0
    gradient: dict[str, torch.Tensor] = {}
    for rank in range(2):
        trainer = Trainer(recipe, short, World())
        for i in range(2):
            loss = trainer._loss(2 * rank + i, 4)
            loss.backward()
            total += loss.item()
        for name, p in trainer.network.named_parameters():
            gradient[name] = gradient.get(name, 0) + p.grad
    assert total == pytest.approx(whole.item(), rel=1e-5)
    for name, p in alone.network.named_parameters():
        torch.testing.assert_close(gradient[name], p.grad, rtol=1e-3, atol=1e-6)


def test_a_batch_that_cannot_be_cut_is_refused(recipe, clips):
    with pytest.raises(ConfigError, match=r"batch_size 2 is not a multiple of 3 \(3 processes of 1 micro-batches\)"):
        Trainer(recipe, clips, World(rank=0, size=3))


@pytest.mark.parametrize("restarts", [0, 1])
def test_a_killed_rank_ends_the_job_with_a_good_checkpoint(tmp_path, restarts):
    """A real SIGKILL. torchrun stops the others, or with --max-restarts starts all again from the checkpoint."""
    run = tmp_path / "run"
    steps = ["data.batch_size=2", "run.steps=60" if restarts else "run.steps=100000"]
    every = ["run.checkpoint_every=5", "run.log_every=1"]
    command = torchrun(2, run, *steps, *every, restarts=restarts)
    process = subprocess.Popen(
        command, env=environment(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until = time.monotonic() + 60
    while not list((run / "checkpoints").glob("step-*.pt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.1)
    os.kill(rank_process(process.pid, rank=1), signal.SIGKILL)
    out, _ = process.communicate(timeout=90)
    step, _ = weights(run)
    if restarts:
        assert process.returncode == 0, out
        assert step == 60
        assert "resuming at step" in out
    else:
        assert process.returncode != 0
        assert step >= 5
        assert "another rank has gone" in out or "Signal 9" in out


def rank_process(parent: int, rank: int) -> int:
    """The process that torchrun started for a rank."""
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=True).stdout.split()
    for child in children:
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        if b"RANK=%d" % rank in variables:
            return int(child)
    raise AssertionError(f"no process of rank {rank} among {children}")
