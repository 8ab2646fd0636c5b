"""Where to compute, and how precisely."""

import contextlib
from typing import Literal, cast, get_args

import torch

from wavegrad.errors import ConfigError, unknown

Precision = Literal["float32", "bfloat16", "float16", "int8"]
"""Of a network's products; what lies between them is float32 with int8, which only the fast engine has."""
PrecisionName = Literal["auto", Precision]
"""What users may ask for: see `choose_precision`."""


def choose_device(name: str) -> torch.device:
    """ "auto" is the GPU where there is one.

    Raises:
        ConfigError: "cuda" without a GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch sees no GPU here; use 'cpu' or 'auto'")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def choose_precision(name: str, device: torch.device) -> Precision:
    """The one that a `PrecisionName` means: "auto" is bfloat16 on devices that are quick at it, else float32, which is
    quicker there.

    Raises:
        ConfigError: there is none of that name.
    """
    if name not in get_args(PrecisionName):
        raise ConfigError(unknown("precision", name, get_args(PrecisionName)))
    if name != "auto":
        return cast(Precision, name)
    return "bfloat16" if has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device has units that multiply bfloat16: a GPU from Ampere on, an x86 processor with AVX512-BF16 or
    AMX. Others emulate it.

    PyTorch knows the instructions of ARM processors too ("bf16"), but whether its convolutions use them depends on how
    it was built, and none has been measured.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


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
