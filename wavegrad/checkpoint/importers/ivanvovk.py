"""Checkpoints of ivanvovk/WaveGrad: model/*.py, data.py and configs/default.json, as of 2021."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from wavegrad.audio.presets import mel_preset
from wavegrad.checkpoint.importers.layout import REVERSED_DILATIONS, Layout, Source
from wavegrad.config import from_dict
from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import CheckpointError
from wavegrad.network.config import Dilations


@dataclass(frozen=True)
class DataConfig:
    """The table "data_config"; the defaults are those of configs/default.json."""

    sample_rate: int = 22050
    n_fft: int = 1024
    win_length: int = 1024
    hop_length: int = 300
    f_min: float = 80.0
    f_max: float = 8000.0
    n_mels: int = 80


@dataclass(frozen=True)
class ModelConfig:
    """The table "model_config", without the widths: the weights tell them."""

    factors: tuple[int, ...] = (5, 5, 3, 2, 2)
    upsampling_dilations: tuple[Dilations, ...] = REVERSED_DILATIONS
    downsampling_dilations: tuple[tuple[int, int, int], ...] = ((1, 2, 4),) * 4


@dataclass(frozen=True)
class TrainingSchedule:
    """The table "training_config.training_noise_schedule"."""

    n_iter: int = 1000
    betas_range: tuple[float, float] = (1e-6, 0.01)


T = TypeVar("T", DataConfig, ModelConfig, TrainingSchedule)


def layers(n_levels: int) -> dict[str, tuple[str, ...]]:
    """Our layers -> theirs."""
    names: dict[str, tuple[str, ...]] = {
        "mel_conv": ("ublock_preconv",),
        "waveform_conv": ("dblock_preconv",),
        "output_conv": ("ublock_postconv",),
    }
    for i in range(n_levels - 1):
        names[f"dblocks.{i}.0.residual"] = (f"dblocks.{i}.residual_branch.0",)
        for j in range(3):
            names[f"dblocks.{i}.0.convs.{j}"] = (f"dblocks.{i}.main_branch.{j + 1}.convolution",)
    for i in range(n_levels):
        names[f"films.{i}.input"] = (f"films.{i}.signal_conv.0",)
        names[f"films.{i}.output"] = (f"films.{i}.scale_conv", f"films.{i}.shift_conv")
        first, second = f"ublocks.{i}.first_block_main_branch", f"ublocks.{i}.second_block_main_branch"
        names[f"ublocks.{i}.0.residual"] = (f"ublocks.{i}.first_block_residual_branch.0",)
        names[f"ublocks.{i}.0.convs.0"] = (f"{first}.upsampling.2",)
        names[f"ublocks.{i}.0.convs.1"] = (f"{first}.modulation.convolution",)
        names[f"ublocks.{i}.0.convs.2"] = (f"{second}.modulation_0.convolution",)
        names[f"ublocks.{i}.0.convs.3"] = (f"{second}.modulation_1.convolution",)
    return {ours: tuple(f"{name}.conv1d" for name in theirs) for ours, theirs in names.items()}


def describe(data: Mapping[str, Any], path: Path, config: Path | None, factors: tuple[int, ...] | None) -> Source:
    """From the configuration of the training, a JSON file; without one, from the published default."""
    tables = _load_json(config) if config is not None else {}
    where = str(config)
    audio = _read(DataConfig, tables, "data_config", where)
    model = _read(ModelConfig, tables, "model_config", where)
    training = tables.get("training_config", {})
    schedule = _read(TrainingSchedule, training, "training_noise_schedule", f"{where}: key training_config")
    if len(set(model.downsampling_dilations)) != 1:
        raise CheckpointError(
            f"{where}: downsampling_dilations are {model.downsampling_dilations}; they must be the same for all blocks"
        )
    mel_config = replace(
        mel_preset("ivanvovk-22k"), **{field.name: getattr(audio, field.name) for field in fields(DataConfig)}
    )
    betas = NoiseSchedule.linear(*schedule.betas_range, schedule.n_iter)
    return Source(
        mel_config,
        factors or model.factors,
        replace(betas, name="training", provenance="the training of the checkpoint"),
        model.upsampling_dilations,
        model.downsampling_dilations[0],
    )


def _load_json(path: Path) -> Mapping[str, Any]:
    try:
        tables = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(tables, Mapping) or not {"data_config", "model_config"} <= tables.keys():
        raise CheckpointError(f"{path} is no configuration of ivanvovk/WaveGrad: it lacks data_config or model_config")
    return tables


def _read(cls: type[T], tables: Mapping[str, Any], name: str, where: str) -> T:
    """One table; keys that do not matter for synthesis are passed over."""
    table = tables.get(name, {})
    if isinstance(table, Mapping):
        known = {field.name for field in fields(cls)}
        table = {key: value for key, value in table.items() if key in known}
    return from_dict(cls, table, f"{where}: {name}")


IVANVOVK = Layout(
    repository="ivanvovk/WaveGrad",
    prefix="nn.",
    signature="ublock_preconv.conv1d",
    layers=layers,
    shift_first=False,
    resampling="linear",
    level_scale=5000.0,
    ignored=frozenset(
        {
            "betas",
            "alphas",
            "alphas_cumprod",
            "alphas_cumprod_prev",
            "sqrt_alphas_cumprod",
            "sqrt_recip_alphas_cumprod",
            "sqrt_recipm1_alphas_cumprod",
            "posterior_log_variance_clipped",
            "posterior_mean_coef1",
            "posterior_mean_coef2",
        }
    ),
    obsolete={
        "positional_encoding.pe": "it is from before October 2020, when FiLM encoded the time, not the noise level"
    },
    describe=describe,
    remark=(
        "Its training (model/diffusion_process.py) mixes in noise with 1 - l^2 where Algorithm 1 has sqrt(1 - l^2);\n"
        "its front-end makes digital silence minus infinity or 0, where the one here has a floor."
    ),
)
