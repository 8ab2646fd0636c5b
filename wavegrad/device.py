"""Where to compute, and how precisely."""

import contextlib
from typing import Literal

import torch

from wavegrad.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16"]


def choose_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one.

    Raises:
        ConfigError: "cuda" without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch sees no GPU here; use 'cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The network's arithmetic in `precision`; for float32 a context that does nothing."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bfloat16" else torch.float16)
