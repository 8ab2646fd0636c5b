"""Exponential moving average of the weights: what is validated and shipped."""

import copy

import torch

from wavegrad.network import WaveGrad


class Ema:
    """average <- d * average + (1 - d) * weights, with d = min(decay, (1 + step) / (10 + step)) so that the start is
    forgotten."""

    def __init__(self, network: WaveGrad, decay: float):
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: WaveGrad, step: int) -> None:
        """Take in the weights after optimiser step `step` (0, 1, ...)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for average, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            average.lerp_(weight, 1 - decay)
