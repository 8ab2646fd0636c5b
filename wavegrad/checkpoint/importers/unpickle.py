"""PyTorch checkpoints as plain values: nothing in the file is run."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wavegrad.errors import CheckpointError


def load_pickle(path: Path) -> dict[str, Any]:
    """Read a file of `torch.save` that holds tensors and plain values only, onto the CPU.

    Raises:
        CheckpointError: it cannot be read, is truncated or no checkpoint, or refers to code.
    """
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
        code = re.search(r"GLOBAL (\S+)", str(error))
        if code:
            raise CheckpointError(
                f"{path} refers to {code[1]}; only tensors and plain values are read, because code in it would be run"
            ) from error
        raise CheckpointError(f"{path} is truncated or no PyTorch checkpoint; get it again") from error
    if not isinstance(data, Mapping):
        raise CheckpointError(f"{path} holds a {type(data).__name__}; a dictionary with the key 'model' is expected")
    return {str(key): value for key, value in data.items()}


def find_weights(data: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The state dict under the key "model", or `data` itself if it is one; without the prefix of distributed training.

    Raises:
        CheckpointError: there is none, or a weight is not finite.
    """
    weights = data.get("model", data)
    if not isinstance(weights, Mapping) or not weights or not all(isinstance(w, Tensor) for w in weights.values()):
        keys = ", ".join(list(data)[:5]) or "nothing"
        raise CheckpointError(f"{path} holds no weights: expected a state dict under the key 'model', found {keys}")
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path} cannot be used: {name} has values that are not finite")
    return {str(name).removeprefix("module."): tensor for name, tensor in weights.items()}
