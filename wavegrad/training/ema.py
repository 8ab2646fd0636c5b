"""Exponential moving average of the weights: what is validated and shipped."""

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.network import WaveGrad


class Ema:
    """average <- d * average + (1 - d) * weights, with d = min(decay, (1 + step) / (10 + step)) so that the start is
    forgotten."""

    def __init__(self, network: WaveGrad, decay: float):
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: WaveGrad, step: int, skip: Float[Tensor, ""]) -> None:
        """Take in the weights after optimiser step `step` (0, 1, ...); nothing where `skip` is 1, on the device."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.network.parameters())
        weights: list[Tensor] = list(network.parameters())
        change = torch._foreach_sub(weights, averages)
        torch._foreach_mul_(change, (1 - decay) * (1 - skip))
        torch._foreach_add_(averages, change)
