"""Networks small enough to compute exactly: those of the network's own tests."""

from unittest.mock import patch

import torch

from tests.network.conftest import Make, inputs, make
from wavegrad.network import WaveGrad, WaveGradConfig

__all__ = ["Make", "inputs", "make", "random_network"]


def random_network(config: WaveGradConfig) -> WaveGrad:
    """Any size, without the seconds that orthogonal weights take; so tame that refining with it does not diverge."""
    with torch.random.fork_rng(), torch.no_grad(), patch("torch.nn.init.orthogonal_", torch.nn.init.xavier_uniform_):
        torch.manual_seed(0)
        network = WaveGrad(config)
        for film in network.films:
            film.output.weight.mul_(0.1)
        network.output_conv.weight.mul_(0.3)
    return network
