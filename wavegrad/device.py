"""Where to compute, and how precisely."""

import contextlib
from typing import Literal

import torch

from wavegrad.errors import ConfigError

Precision = Literal["float32", "bfloat16", "float16", "int8"]
"""Of a network's products; what lies between them is float32 with int8, which only the fast engine has."""


def choose_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one.

    Raises:
        ConfigError: "cuda" without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch sees no GPU here; use 'cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def check_has_casts(precision: Precision) -> None:
    """Raise ConfigError for int8: of a network as it was trained, every layer can be cast to floats only."""
    if precision == "int8":
        raise ConfigError(
            "precision 'int8' is for the fast engine, on whole mels and without a learned variance; for streams, and "
            "for the network as it was trained, use 'float32'"
        )


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The network's arithmetic in `precision`; for float32 a context that does nothing.

    Raises:
        ConfigError: int8.
    """
    check_has_casts(precision)
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if precision == "bfloat16" else torch.float16)
