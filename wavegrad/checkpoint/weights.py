"""Weights of a network to a safetensors file and back; no code is run by loading one."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from wavegrad.errors import CheckpointError
from wavegrad.network import WaveGrad, WaveGradConfig

DTYPES = {"float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class WeightsInfo:
    """What config.json says about the weights file."""

    dtype: Literal["float16", "float32"]
    """How the weights are stored; they are float32 once loaded."""
    n_parameters: int
    """Number of weights."""
    sha256: str
    """Hash of the file, so that a damaged or exchanged file is noticed."""


def save_weights(network: WaveGrad, path: Path, dtype: Literal["float16", "float32"]) -> WeightsInfo:
    """Write the weights of `network`.

    Raises:
        CheckpointError: a weight is not finite, or too large for float16.
    """
    tensors = {name: tensor.detach().to("cpu", DTYPES[dtype]) for name, tensor in network.state_dict().items()}
    _refuse_non_finite(tensors, f"the network cannot be saved as {dtype}")
    data = safetensors.torch.save({name: tensor.contiguous() for name, tensor in tensors.items()})
    path.write_bytes(data)
    return _describe(tensors, data)


def load_weights(config: WaveGradConfig, path: Path, info: WeightsInfo) -> WaveGrad:
    """Make the network that `config` describes, with the weights in `path`, as float32 on the CPU.

    Raises:
        CheckpointError: the file is missing, truncated, foreign, does not fit `config` or is not the one of `info`.
    """
    try:
        data = path.read_bytes()
        tensors = safetensors.torch.load(data)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated or no safetensors file ({error}); get it again") from error
    with torch.random.fork_rng(devices=[]):  # drawing initial weights is no business of the caller's generator
        network = WaveGrad(config)
    _refuse_misfits({name: tensor.shape for name, tensor in network.state_dict().items()}, tensors, path)
    found = _describe(tensors, data)
    if found != info:
        raise CheckpointError(
            f"{path} is not the file that config.json describes: {found} instead of {info}; get both again"
        )
    _refuse_non_finite(tensors, f"{path} cannot be used")
    network.load_state_dict(tensors)  # rounds nothing: float32 holds every float16
    return network


def _describe(tensors: dict[str, Tensor], data: bytes) -> WeightsInfo:
    dtypes = {tensor.dtype for tensor in tensors.values()}
    name: Literal["float16", "float32"] = "float16" if dtypes == {torch.float16} else "float32"
    return WeightsInfo(name, sum(tensor.numel() for tensor in tensors.values()), hashlib.sha256(data).hexdigest())


def _refuse_misfits(expected: dict[str, torch.Size], tensors: dict[str, Tensor], path: Path) -> None:
    """Names first, then shapes."""
    missing, foreign = sorted(expected.keys() - tensors), sorted(tensors.keys() - expected)
    if missing or foreign:
        reasons = [f"{what} {_some(names)}" for what, names in (("lacks", missing), ("has", foreign)) if names]
        raise CheckpointError(f"{path} does not fit the network of config.json: it {' and '.join(reasons)}")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name]:
            raise CheckpointError(
                f"{path} does not fit the network of config.json: {name} is {tuple(tensor.shape)}, "
                f"not {tuple(expected[name])}"
            )


def _refuse_non_finite(tensors: dict[str, Tensor], what: str) -> None:
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{what}: {name} has weights that are not finite")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
