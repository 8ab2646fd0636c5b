"""From a checkpoint of another implementation to a model of this package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavegrad.audio.prior import PriorConfig
from wavegrad.checkpoint.importers.ivanvovk import IVANVOVK
from wavegrad.checkpoint.importers.layout import Layout, Source
from wavegrad.checkpoint.importers.lmnt import LMNT
from wavegrad.checkpoint.importers.unpickle import find_weights, load_pickle
from wavegrad.checkpoint.model_dir import Model
from wavegrad.diffusion import named_schedule
from wavegrad.errors import CheckpointError, ConfigError, unknown
from wavegrad.network import WaveGrad, WaveGradConfig

LAYOUTS: dict[str, Layout] = {"lmnt": LMNT, "ivanvovk": IVANVOVK}
"""The implementations whose checkpoints can be imported."""


def import_checkpoint(
    path: str | Path,
    layout: str,
    config: str | Path | None = None,
    factors: tuple[int, ...] | None = None,
) -> Model:
    """Read a checkpoint of another implementation; its quirks become fields of the mel and network configurations.

    The network gives the same outputs as theirs. The default schedule is the one of the training; those of the
    literature for 50, 25 and 6 steps come along. No code in the file is run.

    Args:
        path: a file of `torch.save`: a dictionary with the key "model", or a bare state dict.
        layout: "lmnt" (lmnt-com/wavegrad) or "ivanvovk" (ivanvovk/WaveGrad).
        config: "ivanvovk" only: the JSON file the model was trained with. Left out, the published configs/default.json.
        factors: upsampling factors, if they are not the ones of `config`, or of the published code: 5, 5, 3, 2, 2.

    Raises:
        CheckpointError: a file that cannot be read, is truncated, foreign or of another layout, or parameters that do
            not fit its weights.
        ConfigError: no such layout.
    """
    if layout not in LAYOUTS:
        raise ConfigError(unknown("layout", layout, LAYOUTS))
    chosen, path = LAYOUTS[layout], Path(path)
    data = load_pickle(path)
    theirs = _strip(find_weights(data, path), layout, path)
    try:
        source = chosen.describe(data, path, None if config is None else Path(config), factors)
        weights = _rename(theirs, chosen, len(source.factors), path)
        network_config = _network_config(weights, chosen, source)
        network_config.check_hop(source.mel_config.hop_length)
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    if network_config.n_mels != source.mel_config.n_mels:
        raise CheckpointError(
            f"{path}: the weights read {network_config.n_mels} mel bands, but the front-end of its training makes "
            f"{source.mel_config.n_mels}"
        )
    schedules = {source.training_schedule.name: source.training_schedule}
    schedules |= {name: named_schedule(name) for name in ("wavegrad-50", "fibonacci-25", "public-6")}
    return Model(
        source.mel_config,
        _network(network_config, weights, path),
        PriorConfig("standard"),
        schedules,
        source.training_schedule.name,
        _card(chosen, path, data),
    )


def _strip(weights: Mapping[str, Tensor], layout: str, path: Path) -> dict[str, Tensor]:
    """The weights of the network, without the layout's prefix.

    Raises:
        CheckpointError: they are of another layout, or of an unsupported version of this one.
    """
    chosen = LAYOUTS[layout]
    if not _has_signature(weights, chosen):
        expected = f"{chosen.prefix}{chosen.signature}.weight"
        others = [name for name, other in LAYOUTS.items() if _has_signature(weights, other)]
        hint = f"; this is a checkpoint of {others[0]}" if others else ""
        raise CheckpointError(
            f"{path} is no checkpoint of {chosen.repository}: expected {expected}, found {_some(weights)}{hint}"
        )
    for name in weights:
        for ending, reason in chosen.obsolete.items():
            if name.endswith(ending):
                raise CheckpointError(f"{path} cannot be imported: {reason} (it has {name})")
    return {name.removeprefix(chosen.prefix): tensor for name, tensor in weights.items() if name not in chosen.ignored}


def _has_signature(weights: Mapping[str, Tensor], layout: Layout) -> bool:
    return f"{layout.prefix}{layout.signature}.weight" in weights


def _rename(theirs: Mapping[str, Tensor], layout: Layout, n_levels: int, path: Path) -> dict[str, Tensor]:
    """Their state dict as ours."""
    layers = layout.layers(n_levels)
    expected = {f"{name}.{kind}" for names in layers.values() for name in names for kind in ("weight", "bias")}
    missing, foreign = sorted(expected - theirs.keys()), sorted(theirs.keys() - expected)
    if missing or foreign:
        faults = [f"{what} {_some(names)}" for what, names in (("lacks", missing), ("has", foreign)) if names]
        raise CheckpointError(
            f"{path} is no network of {layout.repository} with {n_levels} upsampling factors: it {' and '.join(faults)}"
        )
    for name, tensor in theirs.items():
        n_axes = 3 if name.endswith(".weight") else 1
        if tensor.dim() != n_axes:
            raise CheckpointError(f"{path}: {name} has {tensor.dim()} axes, {n_axes} are expected")
    ours = {}
    for layer, names in layers.items():
        for kind in ("weight", "bias"):
            tensor = torch.cat([theirs[f"{name}.{kind}"].float() for name in names])
            if layout.shift_first and layer.startswith("films.") and layer.endswith(".output"):
                tensor = torch.cat(tensor.chunk(2)[::-1])
            ours[f"{layer}.{kind}"] = tensor
    return ours


def _network_config(weights: Mapping[str, Tensor], layout: Layout, source: Source) -> WaveGradConfig:
    """Widths from the weights, the rest from the layout and the training."""
    n_levels = len(source.factors)

    def width(layer: str) -> int:
        return weights[f"{layer}.bias"].shape[0]

    return WaveGradConfig(
        n_mels=weights["mel_conv.weight"].shape[1],
        factors=source.factors,
        mel_channels=width("mel_conv"),
        waveform_channels=width("waveform_conv"),
        ublock_channels=tuple(width(f"ublocks.{i}.0.residual") for i in range(n_levels)),
        dblock_channels=tuple(width(f"dblocks.{i}.0.residual") for i in range(n_levels - 1)),
        ublock_dilations=source.ublock_dilations,
        dblock_dilations=source.dblock_dilations,
        level_scale=layout.level_scale,
        downsampling=layout.resampling,
        upsampling=layout.resampling,
    )


def _network(config: WaveGradConfig, weights: Mapping[str, Tensor], path: Path) -> WaveGrad:
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn; the caller's random numbers stay as they are
        network = WaveGrad(config)
    for name, tensor in network.state_dict().items():
        if weights[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {name}, as it is called here, is {tuple(weights[name].shape)}; "
                f"{tuple(tensor.shape)} is expected"
            )
    network.load_state_dict(weights)
    return network


def _card(layout: Layout, path: Path, data: Mapping[str, Any]) -> str:
    steps = data.get("step", data.get("iteration"))
    trained = f", after {steps:,} steps of training" if isinstance(steps, int) else ""
    return f"""# WaveGrad vocoder

Imported from `{path.name}`, a checkpoint of {layout.repository}{trained}. What it was trained on, and under which
licence its weights may be used, the file does not say: ask where it comes from.

Where its network differs from the paper's, `config.json` says so: `downsampling`, `upsampling`, `ublock_dilations`
and `level_scale`.
{layout.remark}
"""


def _some(names: Mapping[str, Tensor] | list[str]) -> str:
    shown = list(names)[:3]
    return ", ".join(shown) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
