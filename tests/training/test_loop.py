"""Runs: exact resume, clean stops, checkpoints that survive, refusals."""

import contextlib
import copy
import io
import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.conftest import SPEECH, alone, change, killed_before
from wavegrad.errors import CheckpointError, ConfigError, TrainingError
from wavegrad.training.corpus import load_corpora
from wavegrad.training.loop import train
from wavegrad.training.recipe import Recipe
from wavegrad.training.state import TrainingState, load_newest, load_state, save_state
from wavegrad.training.trainer import Trainer
from wavegrad.training.validation import Validator
from wavegrad.vocoder import Vocoder


def quiet(line: str) -> None:
    """Nobody listens."""


def same(a: object, b: object) -> bool:
    """Bit-equality of nested dicts and lists of tensors and numbers."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize(("accumulate", "precision"), [(1, "float32"), (2, "float32"), (1, "bfloat16")])
def test_eight_steps_are_four_and_four(recipe, clips, tmp_path, accumulate, precision):
    recipe = change(recipe, "run", accumulate=accumulate, precision=precision)
    straight = Trainer(recipe, clips)
    for _ in range(8):
        straight.train_step()
    first = Trainer(recipe, clips)
    for _ in range(4):
        first.train_step()
    path = save_state(first.state(), tmp_path, keep=1)
    second = Trainer(recipe, clips)
    second.restore(load_state(path))
    for _ in range(4):
        second.train_step()
    assert same(straight.state().network, second.state().network)
    assert same(straight.state().ema, second.state().ema)
    assert same(straight.state().optimizer, second.state().optimizer)


def test_accumulated_micro_batches_give_the_gradient_of_the_batch(recipe, clips):
    """The same crops, levels and noise; only the order of summation differs (float32: 1e-5 relative)."""
    gradients = []
    for accumulate in (1, 4):
        trainer = Trainer(change(change(recipe, "data", batch_size=4), "run", accumulate=accumulate), clips)
        trainer.train_step()
        gradients.append(torch.cat([p.grad.flatten() for p in trainer.network.parameters()]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)


def test_the_loss_falls(recipe, clips):
    trainer = Trainer(change(recipe, "run", steps=60), clips)
    losses = [trainer.train_step().loss.item() for _ in range(60)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_a_run_writes_what_explains_it_and_the_same_command_resumes(recipe, tmp_path):
    recipe = change(recipe, "run", steps=6, validate_every=3, checkpoint_every=2, log_every=1, keep_checkpoints=2)
    run = tmp_path / "run"
    half = train(change(recipe, "run", steps=3), SPEECH, run, say=quiet)
    assert (half.step, half.finished) == (3, True)
    whole = train(recipe, SPEECH, run, say=quiet)
    assert (whole.step, whole.finished) == (6, True)
    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records if r["group"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [r["step"] for r in records if r["group"] == "valid"] == [3, 6]
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == ["step-00000004.pt", "step-00000006.pt"]
    assert load_newest(run / "checkpoints", quiet).step == 6
    assert (run / "recipe.toml").exists()
    waveform = Vocoder.from_pretrained(str(run / "best"))(torch.full((128, 5), -6.0), schedule=2)
    assert waveform.shape == (1500,)


def test_a_run_is_not_taken_back(recipe, tmp_path):
    """It said "resuming at step 3 of 2", wrote the recipe of another run, and was done."""
    recipe, run = change(recipe, "run", steps=3, validate_every=3), tmp_path / "run"
    train(recipe, SPEECH, run, say=quiet)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match=r"run\.steps is 2, but .*run is at step 3: raise it to go on"):
        train(change(recipe, "run", steps=2), SPEECH, run, say=quiet)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert train(recipe, SPEECH, run, say=quiet).finished


def test_a_run_in_one_piece_equals_an_interrupted_one(recipe, tmp_path, monkeypatch):
    """Killed between two checkpoints: the steps since the last one are done again, to the same bits."""
    recipe = change(recipe, "run", steps=4, checkpoint_every=2)
    train(recipe, SPEECH, tmp_path / "one", say=quiet)
    with killed_before(3, monkeypatch):
        train(recipe, SPEECH, tmp_path / "two", say=quiet)
    assert load_newest(tmp_path / "two" / "checkpoints", quiet).step == 2
    train(recipe, SPEECH, tmp_path / "two", say=quiet)
    one, two = (load_newest(tmp_path / name / "checkpoints", quiet) for name in ("one", "two"))
    assert one.step == two.step == 4
    assert same(one.network, two.network)
    assert same(one.optimizer, two.optimizer)


def check_signal(recipe: Recipe, run: Path, number: int) -> None:
    """Train until the signal, which comes in step 3."""
    plain, said = Trainer.train_step, io.StringIO()

    def train_step(self):
        if self.step == 3:
            os.kill(os.getpid(), number)
        return plain(self)

    Trainer.train_step = train_step
    with contextlib.redirect_stdout(said):
        outcome = train(recipe, SPEECH, run)
    assert (outcome.step, outcome.finished) == (4, False)
    assert "stopped; the same command goes on at step 4" in said.getvalue()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_saves_and_exits_cleanly(recipe, tmp_path, number):
    """A real process, a real signal in step 3: that step is ended, and the same command would go on from there."""
    recipe = change(recipe, "run", steps=100000, checkpoint_every=100000)
    alone(check_signal, recipe, tmp_path / "run", int(number))
    assert load_newest(tmp_path / "run" / "checkpoints", quiet).step == 4


def test_a_loss_that_is_not_finite_stops_with_the_clip_and_keeps_the_state(recipe, clips, tmp_path):
    trainer = Trainer(change(recipe, "data", batch_size=8), clips)
    trainer.train_step()
    before = {k: v.clone() for k, v in trainer.network.state_dict().items()}
    culprit = trainer.sampler.draw(1).names[3]
    plain = trainer.preprocess

    def poisoned(crops):
        example = plain(crops)
        for i, name in enumerate(crops.names):
            if name == culprit:
                example.y_0[i] = float("nan")
        return example

    trainer.preprocess = poisoned
    average, moments = copy.deepcopy(trainer.ema.network.state_dict()), copy.deepcopy(trainer.optimizer.state_dict())
    trainer.train_step()
    trainer.preprocess = plain  # nor may good steps that follow before anybody looks change anything
    report = trainer.train_step()
    trainer.preprocess = poisoned
    with pytest.raises(TrainingError, match=rf"step 1: .* with {culprit};"):
        trainer.check(report)
    assert trainer.step == 1
    assert same(before, trainer.network.state_dict())
    assert same(average, trainer.ema.network.state_dict())
    assert same(moments["state"], trainer.optimizer.state_dict()["state"])


def test_a_diverged_run_leaves_its_last_good_checkpoint(recipe, tmp_path, monkeypatch):
    recipe = change(recipe, "run", steps=5, checkpoint_every=100)
    plain = Trainer.train_step

    def diverge(self):
        if self.step == 3:
            self._broken += 1
        return plain(self)

    monkeypatch.setattr(Trainer, "train_step", diverge)
    with pytest.raises(TrainingError, match="step 3: "):
        train(recipe, SPEECH, tmp_path / "run", say=quiet)
    assert load_newest(tmp_path / "run" / "checkpoints", quiet).step == 3


def test_a_truncated_checkpoint_is_passed_over_for_the_one_before(recipe, clips, tmp_path):
    trainer = Trainer(recipe, clips)
    trainer.train_step()
    save_state(trainer.state(), tmp_path, keep=5)
    trainer.train_step()
    newest = save_state(trainer.state(), tmp_path, keep=5)
    newest.write_bytes(newest.read_bytes()[:-500])
    said: list[str] = []
    assert load_newest(tmp_path, said.append).step == 1
    assert "step-00000002.pt" in said[0]
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of the 2 checkpoints"):
        load_newest(tmp_path, quiet)


def test_a_later_checkpoint_that_cannot_be_read_displaces_none(tmp_path):
    """It counted as the newest one, and what had just been written was deleted."""
    states = {step: TrainingState(step, {}, {}, {}, {}, 0.0) for step in (50, 60, 70, 100)}
    damaged = save_state(states[100], tmp_path, keep=1)
    damaged.write_bytes(b"")
    for step in (50, 60, 70):
        assert save_state(states[step], tmp_path, keep=1).exists()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["step-00000070.pt", damaged.name]
    assert load_newest(tmp_path, [].append).step == 70


def test_a_checkpoint_in_which_bits_changed_is_passed_over(recipe, clips, tmp_path):
    """Nothing is missing from it; PyTorch reads it without a word, and the run went on from noise."""
    trainer = Trainer(recipe, clips)
    save_state(trainer.state(), tmp_path, keep=5)
    trainer.train_step()
    newest = save_state(trainer.state(), tmp_path, keep=5)
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 0x40
    newest.write_bytes(content)
    said: list[str] = []
    assert load_newest(tmp_path, said.append).step == 0
    assert len(said) == 1
    assert "step-00000001.pt cannot be read (truncated or damaged): the sum of " in said[0]
    content[len(content) // 2] ^= 0x40
    content[content.rindex(b"/version")] = 0xFF  # in the name of a part, which is UTF-8: a UnicodeDecodeError once
    newest.write_bytes(content)
    assert load_newest(tmp_path, said.append).step == 0
    assert "step-00000001.pt cannot be read (truncated or damaged): " in said[1]


def test_a_crash_while_saving_leaves_the_old_checkpoint(recipe, clips, tmp_path, monkeypatch):
    """And nothing else; nor does a process that was killed while it saved, once the next one has."""
    trainer = Trainer(recipe, clips)
    save_state(trainer.state(), tmp_path, keep=1)
    (tmp_path / ".step-00000007.pt.4711.tmp").write_bytes(b"killed")
    trainer.train_step()
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(CheckpointError, match=r"step-00000001.pt cannot be written: power cut; make room"):
            save_state(trainer.state(), tmp_path, keep=1)
    assert load_newest(tmp_path, quiet).step == 0
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000000.pt"]


def test_other_clips_and_a_lost_best_model_are_noticed(recipe, tmp_path):
    """The best model of other validation clips is no measure; a deleted one is made again."""
    recipe = change(recipe, "run", steps=1)
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(SPEECH, data)
    clips = sorted(data.glob("*.flac"))
    valid = tmp_path / "valid"
    valid.mkdir()
    shutil.copy(clips[0], valid)

    def said(n_steps: int) -> list[str]:
        lines: list[str] = []
        train(change(recipe, "run", steps=n_steps), data, run, valid, lines.append)
        return [line.split(":")[0] for line in lines[2:]]

    assert said(1) == said(2) == []
    clips[1].unlink()
    assert said(2) == ["the clips to train on are others than those of the checkpoint"]
    state = load_newest(run / "checkpoints", quiet)
    save_state(replace(state, best_loss=0.0), run / "checkpoints", keep=1)
    shutil.rmtree(run / "best")
    said(3)
    assert (run / "best").is_dir()
    state = load_newest(run / "checkpoints", quiet)
    assert state.best_loss > 0
    save_state(replace(state, best_loss=0.0), run / "checkpoints", keep=1)
    shutil.copy(clips[2], valid / clips[0].name)
    assert said(4) == ["the clips to validate on are others than those of the checkpoint"]
    assert load_newest(run / "checkpoints", quiet).best_loss > 0


def test_what_lies_beside_a_model_is_kept_and_costs_no_steps(recipe, tmp_path, monkeypatch):
    """Regression: notes in RUN/best ended the run at the next validation, and the steps since the checkpoint were
    lost, each time anew."""
    recipe = change(recipe, "run", steps=4, validate_every=2, checkpoint_every=100)
    run, notes = tmp_path / "run", tmp_path / "run" / "best" / "notes.txt"
    true_call = Validator.__call__

    def write_notes(*arguments):
        if (run / "best").is_dir():
            notes.touch()
        return true_call(*arguments)

    train(change(recipe, "run", steps=1), SPEECH, run, say=quiet)
    monkeypatch.setattr(Validator, "__call__", write_notes)
    monkeypatch.setattr(Validator, "losses", lambda self, network: {0.5: -1.0})  # the best ever
    holds = r"best is no model directory: it holds notes\.txt; move that away"
    with pytest.raises(CheckpointError, match=holds):
        train(recipe, SPEECH, run, say=quiet)
    assert load_newest(run / "checkpoints", quiet).step == 2
    monkeypatch.setattr(Trainer, "train_step", None)
    with pytest.raises(CheckpointError, match=holds):
        train(recipe, SPEECH, run, say=quiet)
    assert notes.exists()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_too_little_memory_is_one_line(recipe, tmp_path, monkeypatch, error):
    """Regression: a traceback, the first thing that a new user of a GPU meets."""
    monkeypatch.setattr(Trainer, "train_step", lambda self: (_ for _ in ()).throw(error))
    said = r"^not enough memory for step 1, 2 crops of 4 frames in 1 parts: raise run\.accumulate, "
    with pytest.raises(TrainingError, match=said):
        train(recipe, SPEECH, tmp_path, say=quiet)


def test_a_first_validation_that_is_not_finite_is_not_the_best_for_ever(recipe, tmp_path, monkeypatch):
    """Regression: no loss is below NaN, so `best` stayed what the first validation made of it."""
    recipe, losses = change(recipe, "run", steps=2, validate_every=1), iter([float("nan"), 0.5])
    monkeypatch.setattr(Validator, "losses", lambda self, network: {0.5: next(losses)})
    train(recipe, SPEECH, tmp_path, say=quiet)
    assert load_newest(tmp_path / "checkpoints", quiet).best_loss == 0.5
    assert (tmp_path / "best" / "model.safetensors").read_bytes() == (
        tmp_path / "last" / "model.safetensors"
    ).read_bytes()


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    """Loading is weights_only: a pickle that calls a function is refused."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"format_version": 1, "step": Evil()}, tmp_path / "step-00000001.pt")
    with pytest.raises(CheckpointError):
        load_state(tmp_path / "step-00000001.pt")
    assert not (tmp_path / "owned").exists()


def test_another_recipe_is_refused_by_key_and_longer_training_is_not(recipe, tmp_path):
    recipe = change(recipe, "run", steps=1)
    train(recipe, SPEECH, tmp_path / "run", say=quiet)
    with pytest.raises(ConfigError, match=r"optimizer.learning_rate = 0.5 \(was 0.002\)"):
        train(change(recipe, "optimizer", learning_rate=0.5), SPEECH, tmp_path / "run", say=quiet)
    with pytest.raises(ConfigError, match=r"run.seed"):
        train(change(recipe, "run", seed=7), SPEECH, tmp_path / "run", say=quiet)
    assert train(change(recipe, "run", steps=2), SPEECH, tmp_path / "run", say=quiet).step == 2


def test_validation_is_a_function_of_the_weights(recipe, clips):
    trainer = Trainer(recipe, clips)
    validator = Validator(change(recipe, "run", valid_synthesis=1, valid_steps=2), clips, trainer.preprocess)
    first = validator(trainer.ema.network, trainer.vocoder())
    torch.randn(3)
    again = validator(trainer.ema.network, trainer.vocoder())
    assert first.record() == again.record()
    trainer.train_step()
    assert validator(trainer.ema.network, trainer.vocoder()).loss != first.loss


def test_corpora_are_disjoint(recipe, tmp_path, monkeypatch):
    """Also where the same folder is named in two ways: validation clips used to be trained on then."""
    corpora = load_corpora(recipe, SPEECH, None, quiet)
    assert len(corpora.train) == 3
    assert len(corpora.valid) == 1
    assert not {c.name for c in corpora.train} & {c.name for c in corpora.valid}
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SPEECH, "data/valid")
    shutil.move(next(Path("data/valid").glob("*.flac")), "data")
    corpora = load_corpora(recipe, Path("data"), tmp_path / "data" / "valid", quiet)
    assert len(corpora.train) == 1
    assert len(corpora.valid) == 3


def test_folders_without_clips_are_one_line_each(recipe, tmp_path):
    (tmp_path / "0.tar").touch()
    for data, valid, valid_clips, message in (
        (tmp_path, None, 1, r"no audio file in .*; it holds shards: set data.shards = true"),
        (SPEECH, tmp_path, 1, f"no audio file in {tmp_path}"),
        (SPEECH, SPEECH, 1, "all audio files of .* are in .* too; nothing is left to train on"),
        (SPEECH, None, 0, "data.valid_clips is 0: nothing is held out"),
    ):
        with pytest.raises(TrainingError, match=message):
            load_corpora(change(recipe, "data", valid_clips=valid_clips), data, valid, quiet)
    with pytest.raises(TrainingError, match="nowhere is not a folder; pass the folder that holds the mels"):
        load_corpora(recipe, SPEECH, None, quiet, tmp_path / "nowhere")
