"""The systems that `wavegrad evaluate` names, as the evaluation takes them."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.audio.mel import MelConfig
    from wavegrad.device import Precision
    from wavegrad.diffusion import Sampler
    from wavegrad.diffusion.schedule import NoiseSchedule
    from wavegrad.evaluation import Synthesizer
    from wavegrad.vocoder import Vocoder


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model of which a worker process gets the name, and loads it as it starts: no clip's time contains that."""

    directory: Path
    device: str
    vocoder: "Vocoder"

    def __reduce__(self) -> "tuple[Callable[[Path, str], LoadedModel], tuple[Path, str]]":
        return load, (self.directory, self.device)


def load(directory: Path, device: str) -> LoadedModel:
    """A model on a device ("auto", "cpu" or "cuda"), in a process that keeps freed memory from now on, as `vocode`."""
    from wavegrad.device import choose_device
    from wavegrad.inference import keep_freed_memory
    from wavegrad.vocoder import Vocoder

    keep_freed_memory()
    return LoadedModel(directory, device, Vocoder.from_pretrained(directory).to(choose_device(device)))


@dataclass(frozen=True)
class CopySynthesis:
    """Recording -> mel -> recording, by a vocoder."""

    model: LoadedModel
    schedule: "NoiseSchedule"
    sampler: "Sampler"
    seed: int
    precision: "Precision"
    griffin_lim: int

    def __call__(self, waveform: "Float[Tensor, ' time']") -> "Float[Tensor, ' time']":
        return self.model.vocoder.resynthesize(
            waveform,
            self.schedule,
            self.seed,
            sampler=self.sampler,
            precision=self.precision,
            griffin_lim=self.griffin_lim,
        )


@dataclass(frozen=True)
class Synthesis:
    """What is made with every model."""

    steps: tuple[int, ...]
    schedules: tuple[str, ...]
    """Names, or JSON files."""
    samplers: tuple[str, ...]
    """Names."""
    seed: int
    device: str
    precisions: "tuple[Precision, ...]" = ("float32",)
    griffin_lim: tuple[int, ...] = ()
    """Numbers of iterations; none: what each model says."""


def copy_syntheses(name: str | None, label: str, wanted: Synthesis) -> "tuple[list[Synthesizer], MelConfig]":
    """A model in each precision, with each number of Griffin-Lim iterations, each sampler, and each number of steps and
    each schedule or its default schedule; and its mel.

    Raises:
        CheckpointError, ConfigError: there is no such model, schedule or sampler, or no int8 on this machine.
    """
    from wavegrad.checkpoint import resolve_model
    from wavegrad.inference import check_int8

    model = load(resolve_model(name), wanted.device)
    if "int8" in wanted.precisions:
        check_int8(model.vocoder.device)
    choices: list[int | str | None] = [*wanted.steps, *wanted.schedules] or [None]
    samplers: list[str | None] = [*wanted.samplers] or [None]
    iterations: list[int | None] = [*wanted.griffin_lim] or [None]
    systems = [
        _copy_synthesis(model, label, Choice(steps, sampler, n_iter, precision), wanted)
        for precision in wanted.precisions
        for n_iter in iterations
        for sampler in samplers
        for steps in choices
    ]
    return systems, model.vocoder.mel_config


@dataclass(frozen=True)
class Choice:
    """Of what is made with a model; None is left to the model."""

    schedule: int | str | None
    """Number of steps, name or JSON file."""
    sampler: str | None
    griffin_lim: int | None
    precision: "Precision"


def _copy_synthesis(model: LoadedModel, label: str, chosen: Choice, wanted: Synthesis) -> "Synthesizer":
    """The model's own schedules lie on one line in the plots; whatever else was named gets its own."""
    from wavegrad.diffusion import choose_sampler
    from wavegrad.diffusion.schedule import NoiseSchedule
    from wavegrad.evaluation import Synthesizer, System

    vocoder, choice = model.vocoder, chosen.schedule
    named = (
        None if chosen.precision == "float32" else chosen.precision,
        chosen.sampler,
        None if chosen.griffin_lim is None else f"griffin_lim {chosen.griffin_lim}",
    )
    group = ", ".join([label, *(part for part in named if part is not None)])
    if isinstance(choice, str) and (choice.endswith(".json") or Path(choice).is_file()):
        schedule = NoiseSchedule.load(choice)
        group = name = f"{group}, {Path(choice).stem}"
    else:
        schedule = vocoder.find_schedule(choice)
        is_own = not isinstance(choice, str) or choice in vocoder.schedules
        steps = f"{group}, {schedule.n_steps} step{'s' * (schedule.n_steps > 1)}"
        group, name = (group, steps) if is_own else (f"{group}, {choice}",) * 2
    walk = choose_sampler(chosen.sampler, None, schedule.n_steps)
    n_iter = vocoder.griffin_lim if chosen.griffin_lim is None else chosen.griffin_lim
    identity = {
        "model": _digest(model.directory),
        "betas": schedule.betas,
        "sampler": repr(walk),
        "seed": wanted.seed,
        "device": str(vocoder.device),
        "precision": chosen.precision,
        "griffin_lim": n_iter,
    }
    synthesis = CopySynthesis(model, schedule, walk, wanted.seed, chosen.precision, n_iter)
    return Synthesizer(System(name, group, schedule.n_steps), vocoder.sample_rate, synthesis, json.dumps(identity))


def _digest(directory: Path) -> str:
    """Of config.json, which holds the hash of the weights."""
    from wavegrad.checkpoint.model_dir import CONFIG

    return hashlib.sha256((directory / CONFIG).read_bytes()).hexdigest()


def model_labels(names: Sequence[str]) -> list[str]:
    """Short names: the last part of a path, or all of it where that would not tell two models apart."""
    short = [Path(name).name for name in names]
    return [s if short.count(s) == 1 else name for s, name in zip(short, names, strict=True)]
