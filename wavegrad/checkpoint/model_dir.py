"""The model directory: all that a vocoder is made of, in four kinds of file.

model.safetensors    weights, float16 or float32
config.json          format version, front-end, network, prior, default schedule, description of the weights
schedules/NAME.json  the noise schedules that the model knows by name
README.md            the model card
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wavegrad import atomic
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.prior import PriorConfig
from wavegrad.checkpoint.weights import WeightsInfo, load_weights, save_weights
from wavegrad.config import from_dict, to_dict
from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import CheckpointError, ConfigError
from wavegrad.network import WaveGrad, WaveGradConfig

FORMAT_VERSION = 1
KIND: Literal["wavegrad-vocoder"] = "wavegrad-vocoder"
CONFIG, WEIGHTS, SCHEDULES, CARD = "config.json", "model.safetensors", "schedules", "README.md"


@dataclass(frozen=True, eq=False)
class Model:
    """What a model directory holds."""

    mel_config: MelConfig
    network: WaveGrad
    prior: PriorConfig
    schedules: Mapping[str, NoiseSchedule]
    default_schedule: str
    card: str
    """Markdown; where it is empty, `plain_card` is written."""
    griffin_lim: int = 0
    """Iterations after the sampler, where none are asked for."""


@dataclass(frozen=True)
class ModelConfig:
    """config.json."""

    format_version: int
    kind: Literal["wavegrad-vocoder"]
    mel: MelConfig
    network: WaveGradConfig
    prior: PriorConfig
    default_schedule: str
    weights: WeightsInfo
    griffin_lim: int = 0


def save_model(model: Model, directory: str | Path, half: bool = False) -> None:
    """Write a model directory: whole, or not at all.

    No reader ever sees half of it, or none where there was one.

    Args:
        model: what to save.
        directory: made if it does not exist; replaced if it is a model directory.
        half: store the weights as float16, in half the space.

    Raises:
        CheckpointError: `directory` is there and holds other things than a model, or cannot be written, or the weights
            cannot be stored.
    """
    target = Path(directory).resolve()
    refuse_foreign(target)
    try:
        with atomic.replacing_folder(target) as fresh:
            _write(model, fresh, half)
    except OSError as error:
        raise CheckpointError(f"{target} cannot be written: {error.strerror}; what was there is there still") from error


def load_model(directory: str | Path) -> Model:
    """Read a model directory; weights come as float32 on the CPU.

    Raises:
        CheckpointError: a file is missing, damaged, foreign, of a newer format or does not fit the others.
    """
    root = Path(directory)
    config = load_config(root)
    schedules = load_schedules(root)
    if config.default_schedule not in schedules:
        names = ", ".join(schedules) or "none"
        raise CheckpointError(
            f"{root / SCHEDULES} lacks the default schedule {config.default_schedule}.json; it has {names}"
        )
    network = load_weights(config.network, root / WEIGHTS, config.weights)
    card = root / CARD
    text = card.read_text(encoding="utf-8", errors="replace") if card.exists() else ""
    return Model(config.mel, network, config.prior, schedules, config.default_schedule, text, config.griffin_lim)


def load_schedules(directory: str | Path) -> dict[str, NoiseSchedule]:
    """The noise schedules of a model directory by name. CheckpointError, with the path, where one cannot be read."""
    try:
        paths = sorted((Path(directory) / SCHEDULES).glob("*.json"))
        return {path.stem: NoiseSchedule.load(path) for path in paths}
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def load_config(directory: str | Path) -> ModelConfig:
    """Read and check config.json alone: what a model is, without its weights.

    Raises:
        CheckpointError: it is missing, no JSON, of a newer format or has unknown, missing or wrong entries.
    """
    path = Path(directory) / CONFIG
    if not path.parent.is_dir():
        raise CheckpointError(f"there is no model directory {path.parent}")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path.parent} is no model directory: it has no {CONFIG}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no valid JSON: {error}") from error
    _refuse_version(data, path)
    try:
        return from_dict(ModelConfig, data, str(path))
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _write(model: Model, root: Path, half: bool) -> None:
    (root / SCHEDULES).mkdir(parents=True)  # with those above it
    weights = save_weights(model.network, root / WEIGHTS, "float16" if half else "float32")
    config = ModelConfig(
        FORMAT_VERSION,
        KIND,
        model.mel_config,
        model.network.config,
        model.prior,
        model.default_schedule,
        weights,
        model.griffin_lim,
    )
    (root / CONFIG).write_text(json.dumps(to_dict(config), indent=2) + "\n", encoding="utf-8")
    for name, schedule in model.schedules.items():
        if not re.fullmatch(r"\w[\w.-]*", name):
            raise CheckpointError(f"schedule {name!r} cannot be a file name; use letters, digits, '_', '-' and '.'")
        schedule.save(root / SCHEDULES / f"{name}.json")
    (root / CARD).write_text(model.card or plain_card(model, weights), encoding="utf-8")


def plain_card(model: Model, weights: WeightsInfo) -> str:
    """A model card with the facts that a model knows about itself."""
    mel = model.mel_config
    schedules = ", ".join(f"{name} ({schedule.n_steps} steps)" for name, schedule in model.schedules.items())
    return f"""# WaveGrad vocoder

Mel spectrograms to waveforms by iterative refinement (WaveGrad, arXiv 2009.00713).

| | |
| --- | --- |
| sample rate | {mel.sample_rate} Hz |
| mel | {mel.n_mels} bands, {mel.f_min:g} to {mel.f_max:g} Hz, a frame every {mel.hop_length} samples |
| network | {weights.n_parameters:,} parameters, stored as {weights.dtype} |
| prior | {model.prior.kind} |
| schedules | {schedules}; default: {model.default_schedule} |
| Griffin-Lim iterations after the steps | {model.griffin_lim} |

```python
from wavegrad import Vocoder

vocoder = Vocoder.from_pretrained("DIRECTORY")
waveform = vocoder(mel)  # batch bands frames -> batch samples
```
"""


def refuse_foreign(target: Path) -> None:
    """Only a directory that holds a model and nothing else may be replaced; CheckpointError for another one."""
    if not target.exists():
        return
    if not target.is_dir():
        raise CheckpointError(f"{target} is a file; a model needs a directory")
    others = sorted(path.name for path in target.iterdir() if path.name not in (CONFIG, WEIGHTS, SCHEDULES, CARD))
    others += sorted(path.name for path in (target / SCHEDULES).glob("*") if path.suffix != ".json")
    if not others and any(target.iterdir()) and not (target / CONFIG).exists():
        others = [path.name for path in target.iterdir()]
    if others:
        raise CheckpointError(
            f"{target} is no model directory: it holds {', '.join(others[:3])}; move that away, or save to another one"
        )


def _refuse_version(data: Any, path: Path) -> None:
    version = data.get("format_version") if isinstance(data, dict) else None
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path} is no model of this package: it has no format_version")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has format {version}; this version reads up to {FORMAT_VERSION}: upgrade wavegrad"
        )
