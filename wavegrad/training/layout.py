"""How the convolutions see memory while a network is trained, and who chooses how they are computed."""

import contextlib
import types
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from wavegrad.network.conv import Conv
from wavegrad.shapes import Feature, FeatureOut


def run_channels_first(network: nn.Module) -> None:
    """Let every convolution run as `torch.nn.Conv1d` does, on neighbours in time; in place.

    The network itself lays features out channels-last and runs 2-D convolutions (`wavegrad/network/conv.py`).
    """
    for module in network.modules():
        if isinstance(module, Conv):
            module.forward = types.MethodType(_forward, module)  # type: ignore[method-assign]


def _forward(conv: Conv, x: Feature, slope: float | None = None) -> FeatureOut:
    y = nn.Conv1d.forward(conv, x)
    return y if slope is None else F.leaky_relu_(y, slope)


@contextlib.contextmanager
def tuned_convolutions(on: bool) -> Iterator[None]:
    """Context in which cuDNN times its kernels for each convolution that it has not met yet, and takes the fastest.

    Else a rule chooses them. It is a setting of the whole process, so it is put back.
    """
    before, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before
