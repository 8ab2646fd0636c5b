"""The training loop: when to step, log, validate and save; how to stop and to go on."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavegrad.config import from_dict, save_toml, to_dict
from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.corpus import load_corpora
from wavegrad.training.log import RunLog
from wavegrad.training.recipe import Recipe
from wavegrad.training.state import load_newest, save_state
from wavegrad.training.stop import StopSignal
from wavegrad.training.trainer import Trainer
from wavegrad.training.validation import Validator

FREE_TO_CHANGE = {"run"}
"""Sections of a recipe that may differ when a run is taken up again; all of it but the seed."""


@dataclass(frozen=True)
class Outcome:
    """How a call of `train` ended."""

    step: int
    """Steps done."""
    finished: bool
    """False when a stop signal ended it early; the same call goes on from here."""


def train(
    recipe: Recipe, data: Path, run: Path, valid: Path | None = None, say: Callable[[str], None] = print
) -> Outcome:
    """Train, or go on training, in the folder `run`.

    Args:
        recipe: what to train.
        data: folder of audio files, searched recursively.
        run: folder for checkpoints, log and the best model; the same call with the same folder resumes.
        valid: folder of validation clips; without it some of `data` are held out.
        say: where messages for the user go.

    Raises:
        ConfigError: the run was begun with another recipe.
        TrainingError: no usable clip, or a loss or gradient that is not finite.
        CheckpointError: there are checkpoints, and none can be read.
    """
    state = load_newest(run / "checkpoints", say)
    if state is not None:
        begun = from_dict(Recipe, state.recipe, f"{run}: recipe")  # a key younger than the run has its default
        check_same_recipe(to_dict(begun), to_dict(recipe), run)
    corpora = load_corpora(recipe, data, valid, say)
    run.mkdir(parents=True, exist_ok=True)
    save_toml(to_dict(recipe), run / "recipe.toml")
    trainer = Trainer(recipe, corpora.train)
    if state is not None:
        trainer.restore(state)
        say(f"resuming at step {trainer.step} of {recipe.run.steps}")
    return _run(trainer, Validator(recipe, corpora.valid, trainer.preprocess), run)


def _run(trainer: Trainer, validator: Validator, run: Path) -> Outcome:
    every = trainer.recipe.run
    best_loss = trainer.best_loss
    with StopSignal() as stop, RunLog(run, trainer.step, every.steps) as log:
        while trainer.step < every.steps and not stop.asked:
            try:
                report = trainer.train_step()
            except TrainingError:
                _save(trainer, run)  # the weights from before the step
                raise
            log.step(report.loss)
            if trainer.step % every.log_every == 0:
                log.write(trainer.step, "train", vars(report))
            if trainer.step % every.validate_every == 0 or trainer.step == every.steps:
                _validate(trainer, validator, log, run)
            if trainer.step % every.checkpoint_every == 0 or trainer.best_loss < best_loss:
                best_loss = trainer.best_loss
                _save(trainer, run)
        _save(trainer, run)
        finished = trainer.step >= every.steps
        log.say(f"{'finished' if finished else 'stopped; the same command goes on'} at step {trainer.step}")
    return Outcome(trainer.step, finished)


def _validate(trainer: Trainer, validator: Validator, log: RunLog, run: Path) -> None:
    """Measure the averaged weights; keep them as a model directory: `last`, and `best` when the loss is the lowest
    yet."""
    vocoder = trainer.vocoder()
    result = validator(trainer.ema.network, vocoder)
    log.write(trainer.step, "valid", result.record())
    log.say(f"step {trainer.step}: validation loss {result.loss:.4f}, log-mel distance {result.log_mel_db:.2f} dB")
    for name, waveform in result.audio.items():
        log.audio(trainer.step, name, waveform, vocoder.sample_rate)
    vocoder.save_pretrained(run / "last")
    if result.loss < trainer.best_loss:
        trainer.best_loss = result.loss
        vocoder.save_pretrained(run / "best")


def _save(trainer: Trainer, run: Path) -> None:
    save_state(trainer.state(), run / "checkpoints", trainer.recipe.run.keep_checkpoints)


def check_same_recipe(saved: dict[str, Any], asked: dict[str, Any], run: Path) -> None:
    """Refuse to go on with other data, model, loss or seed than the run was begun with.

    Raises:
        ConfigError: naming the keys that differ, with both values.
    """
    before, now = _flat(saved), _flat(asked)
    changed = [
        f"{key} = {now.get(key)!r} (was {before.get(key)!r})"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key) and (key.split(".")[0] not in FREE_TO_CHANGE or key == "run.seed")
    ]
    if changed:
        raise ConfigError(
            f"{run} was begun with another recipe: {'; '.join(changed)}; choose a new run folder, or undo it"
        )


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in table.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
