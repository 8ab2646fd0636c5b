"""Checkpoints of lmnt-com/wavegrad: src/wavegrad/{model,params,preprocess,learner}.py, as of 2023."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from wavegrad.audio.presets import mel_preset
from wavegrad.checkpoint.importers.layout import Layout, Source
from wavegrad.config import from_dict
from wavegrad.diffusion import NoiseSchedule, named_schedule
from wavegrad.errors import CheckpointError


@dataclass(frozen=True)
class Params:
    """The values under the key "params" that matter for synthesis; the defaults are those of params.py."""

    sample_rate: int = 22050
    hop_samples: int = 300
    noise_schedule: tuple[float, ...] = named_schedule("wavegrad-training").betas


def layers(n_levels: int) -> dict[str, tuple[str, ...]]:
    """Our layers -> theirs."""
    names = {"mel_conv": "first_conv", "waveform_conv": "downsample.0", "output_conv": "last_conv"}
    for i in range(n_levels - 1):
        names[f"dblocks.{i}.0.residual"] = f"downsample.{i + 1}.residual_dense"
        names |= {f"dblocks.{i}.0.convs.{j}": f"downsample.{i + 1}.conv.{j}" for j in range(3)}
    for i in range(n_levels):
        names |= {f"films.{i}.{layer}": f"film.{i}.{layer}_conv" for layer in ("input", "output")}
        names[f"ublocks.{i}.0.residual"] = f"upsample.{i}.block1"
        names |= {f"ublocks.{i}.0.convs.{j}": f"upsample.{i}.block{2 + j // 2}.{j % 2}" for j in range(4)}
    return {ours: (theirs,) for ours, theirs in names.items()}


def describe(data: Mapping[str, Any], path: Path, config: Path | None, factors: tuple[int, ...] | None) -> Source:
    """The checkpoint carries its parameters; a bare state dict is taken for one with the published ones."""
    if config is not None:
        raise CheckpointError(f"{path} carries its own parameters; a configuration file is for ivanvovk only")
    stored = data.get("params", {})
    if not isinstance(stored, Mapping):
        raise CheckpointError(f"{path}: 'params' is a {type(stored).__name__}; a dictionary is expected")
    known = {field.name for field in fields(Params)}
    params = from_dict(Params, {k: v for k, v in stored.items() if k in known}, f"{path}: params")
    window = 4 * params.hop_samples
    mel_config = replace(
        mel_preset("lmnt-22k"),
        sample_rate=params.sample_rate,
        f_max=params.sample_rate / 2,
        hop_length=params.hop_samples,
        win_length=window,
        n_fft=1 << (window - 1).bit_length(),
    )
    schedule = NoiseSchedule(params.noise_schedule, "training", "stored in the checkpoint")
    return Source(mel_config, factors or (5, 5, 3, 2, 2), schedule)


LMNT = Layout(
    repository="lmnt-com/wavegrad",
    prefix="",
    signature="first_conv",
    layers=layers,
    shift_first=True,
    resampling="nearest",
    level_scale=1.0,
    ignored=frozenset(),
    obsolete={},
    describe=describe,
    remark="Its own sampler clamps the waveform to [-1, 1] after every step; the one here, like the paper's, does not.",
)
