"""The training loop: when to step, log, validate and save; how to stop and to go on."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wavegrad.checkpoint import load_model, resolve_model
from wavegrad.checkpoint.model_dir import refuse_foreign
from wavegrad.config import from_dict, save_toml, to_dict
from wavegrad.device import choose_device, choose_precision
from wavegrad.errors import ConfigError, TrainingError, WavegradError
from wavegrad.inference import is_of_memory
from wavegrad.training.corpus import load_corpora
from wavegrad.training.init_from import init_from
from wavegrad.training.log import MuteLog, RunLog
from wavegrad.training.recipe import Recipe
from wavegrad.training.run_folder import claimed
from wavegrad.training.state import TrainingState, load_newest, save_state
from wavegrad.training.stop import StopSignal
from wavegrad.training.trainer import StepReport, Trainer
from wavegrad.training.validation import Validator
from wavegrad.training.world import World, joined_world

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
    recipe: Recipe,
    data: Path,
    run: Path,
    valid: Path | None = None,
    say: Callable[[str], None] = print,
    *,
    start: str | Path | None = None,
    mels: Path | None = None,
) -> Outcome:
    """Train, or go on training, in the folder `run`.

    Started by torchrun, all processes train together on the same folders, and the first one logs, validates and saves.

    Args:
        recipe: what to train.
        data: folder of audio files, searched recursively; with data.shards a folder of shards.
        run: folder for checkpoints, log and the best model; the same call with the same folder resumes.
        valid: folder of validation clips; without it some of `data` are held out.
        say: where messages for the user go.
        start: the model (as for `Vocoder.from_pretrained`) whose weights a new run starts from; a run that is taken up
            again goes on from its checkpoint.
        mels: folder of the mels to train on, such as an acoustic model predicts with the recordings' durations
            (teacher-forced): NAME.npy or NAME.pt of shape (n_mels, frames) for each clip NAME.wav. Left out, the
            recordings' own mels.

    Raises:
        ConfigError: the run was begun with another recipe, or is beyond the steps of this one, or `start` does not fit.
        TrainingError: another process trains in that folder, no usable clip, a loss or gradient that is not finite, not
            enough memory, or processes that were given different things.
        CheckpointError: there are checkpoints, and none can be read; or one cannot be written, or a model, because
            there are other things in its folder.
    """
    on_gpu = choose_device(recipe.run.device).type == "cuda"
    with joined_world(on_gpu) as world, claimed(run) if world.is_first else nullcontext():
        return _train(recipe, data, run, valid, say, start, mels, world)


def _train(
    recipe: Recipe,
    data: Path,
    run: Path,
    valid: Path | None,
    say: Callable[[str], None],
    start: str | Path | None,
    mels: Path | None,
    world: World,
) -> Outcome:
    tell = world.of_first(say)
    for model_dir in (run / "last", run / "best"):
        refuse_foreign(model_dir)
    state = load_newest(run / "checkpoints", tell)
    if state is not None:
        begun = from_dict(Recipe, state.recipe, f"{run}: recipe")  # a key younger than the run has its default
        check_same_recipe(to_dict(begun), to_dict(recipe), run)
        if state.step > recipe.run.steps:
            raise ConfigError(f"run.steps is {recipe.run.steps}, but {run} is at step {state.step}: raise it to go on")
    model = load_model(resolve_model(start)) if start is not None and state is None else None
    corpora = load_corpora(recipe, data, valid, say, mels, world)
    device = choose_device(recipe.run.device)
    facts = {
        "recipe": repr(recipe),
        "checkpoint": str(state.step if state is not None else 0),
        "precision (name one in run.precision)": choose_precision(recipe.run.precision, device),
    }
    world.check_same(facts | corpora.facts(), device)
    initialise = partial(init_from, model=model, recipe=recipe.model, say=tell) if model is not None else None
    trainer = Trainer(recipe, corpora.train, world, initialise, corpora.fingerprints())
    if state is not None:
        trainer.restore(state)
        tell(f"resuming at step {trainer.step} of {recipe.run.steps}")
        _compare_precision(state, trainer, tell)
        _compare_clips(state, trainer, tell)
    if world.is_first:
        save_toml(to_dict(recipe), run / "recipe.toml")
    return _run(trainer, Validator(recipe, corpora.valid, trainer.preprocess), run)


def _run(trainer: Trainer, validator: Validator, run: Path) -> Outcome:
    every = trainer.recipe.run
    first = trainer.world.is_first
    with StopSignal() as stop, RunLog(run, trainer.step, every.steps) if first else MuteLog() as log:
        report = None
        while trainer.step < every.steps and not _asked_to_stop(stop, trainer):
            report = _step(trainer)
            log.step()
            is_last = trainer.step == every.steps
            logs = trainer.step % every.log_every == 0
            validates = trainer.step % every.validate_every == 0 or is_last
            saves = trainer.step % every.checkpoint_every == 0 or is_last
            if logs or validates or saves:
                _check(trainer, report, run)
            if logs:
                log.write(trainer.step, "train", report.read())
            if validates and first:
                try:
                    saves = _validate(trainer, validator, log, run) or saves
                except WavegradError:  # a model cannot be written; what was learned is not lost
                    if not is_last:  # a run that is done would not be validated any more
                        _save(trainer, run)
                    raise
            if saves and first:
                _save(trainer, run)
        finished = trainer.step >= every.steps
        if not finished and report is not None:
            _check(trainer, report, run)
            if first:
                _save(trainer, run)
        log.say(f"{'finished' if finished else 'stopped; the same command goes on'} at step {trainer.step}")
    return Outcome(trainer.step, finished)


def _step(trainer: Trainer) -> StepReport:
    """A step; TrainingError where the memory is not enough for one."""
    try:
        return trainer.train_step()
    except (MemoryError, RuntimeError) as error:
        if not is_of_memory(error):
            raise
        data = trainer.recipe.data
        raise TrainingError(
            f"not enough memory for step {trainer.step + 1}, {data.batch_size} crops of {data.crop_frames} frames in "
            f"{trainer.n_parts} parts: raise run.accumulate, which only takes time, or lower data.batch_size"
        ) from error


def _asked_to_stop(stop: StopSignal, trainer: Trainer) -> bool:
    """All processes must stop after the same step; they agree when a log line is due, since that waits anyway."""
    if trainer.world.size == 1:
        return stop.asked
    return trainer.step % trainer.recipe.run.log_every == 0 and trainer.world.any(stop.asked, trainer.device)


def _check(trainer: Trainer, report: StepReport, run: Path) -> None:
    """Where something was not finite: save the weights from before that step, and stop with TrainingError."""
    try:
        trainer.check(report)
    except TrainingError:
        if trainer.world.is_first:
            _save(trainer, run)
        raise


def _validate(trainer: Trainer, validator: Validator, log: RunLog | MuteLog, run: Path) -> bool:
    """Measure the averaged weights; keep them as a model directory: `last`, and `best` when the loss is the lowest
    yet, or the best one is gone (then true is returned)."""
    vocoder = trainer.vocoder()
    result = validator(trainer.ema.network, vocoder)
    log.write(trainer.step, "valid", result.record())
    log.say(f"step {trainer.step}: {result}")
    for name, waveform in result.audio.items():
        log.audio(trainer.step, name, waveform, vocoder.sample_rate)
    vocoder.save_pretrained(run / "last", trainer.recipe.run.half_model)
    if (run / "best").is_dir() and not result.loss < trainer.best_loss:
        return False
    trainer.best_loss = result.loss if math.isfinite(result.loss) else math.inf
    vocoder.save_pretrained(run / "best", trainer.recipe.run.half_model)
    return True


def _save(trainer: Trainer, run: Path) -> None:
    save_state(trainer.state(), run / "checkpoints", trainer.recipe.run.keep_checkpoints)


def _compare_precision(state: TrainingState, trainer: Trainer, tell: Callable[[str], None]) -> None:
    """Say when the arithmetic is another than that before the checkpoint: "auto" may be another on every machine."""
    if state.precision not in (None, trainer.precision):
        tell(
            f"computing in {trainer.precision}, before the checkpoint it was {state.precision}: the weights fit both, "
            "but the run is no longer that of its seed; run.precision holds it to one"
        )


def _compare_clips(state: TrainingState, trainer: Trainer, tell: Callable[[str], None]) -> None:
    """Say which clips are others than those of the checkpoint, and forget what was best on others."""
    before, now = state.fingerprints or {}, trainer.fingerprints or {}
    changed = {split for split in before.keys() & now.keys() if before[split] != now[split]}
    if "train" in changed:
        tell("the clips to train on are others than those of the checkpoint: the run is no longer that of its seed")
    if "valid" in changed:
        tell("the clips to validate on are others than those of the checkpoint: the best model is judged anew")
        trainer.best_loss = float("inf")


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
