"""How the convolutions see memory while a network is trained."""

import types

from torch import nn

from wavegrad.network.conv import Conv


def run_channels_first(network: nn.Module) -> None:
    """Let every convolution run as `torch.nn.Conv1d` does, on neighbours in time; in place.

    The network itself lays features out channels-last and runs 2-D convolutions (`wavegrad/network/conv.py`).
    """
    for module in network.modules():
        if isinstance(module, Conv):
            module.forward = types.MethodType(nn.Conv1d.forward, module)  # type: ignore[method-assign]
