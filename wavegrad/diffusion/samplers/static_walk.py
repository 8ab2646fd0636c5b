"""A walk that never waits for the device, and what noise it will ask for."""

import torch
from torch import Tensor

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.shapes import Waveform


class StaticWalk(Walk):
    """Predictions are not looked at: for CUDA graphs, and for training, which sees by its loss what is not finite."""

    def predict_at(self, y: Waveform, alpha_bar: float, n: int) -> tuple[Waveform, None]:
        """One level for all items; no learned variance."""
        predicted = self._predict(y, y.new_full((1,), alpha_bar**0.5))
        assert isinstance(predicted, Tensor)
        return predicted, None


def noise_indices(sampler: Sampler, schedule: NoiseSchedule) -> list[int]:
    """Of the noises that a walk asks for: heard on a walk over silence, since they do not depend on values."""
    heard: list[int] = []

    def listen(index: int) -> Waveform:
        heard.append(index)
        return torch.zeros(1, 1)

    sampler.refine(StaticWalk(lambda y, noise_level: torch.zeros_like(y), schedule, listen))
    return heard
