"""Drawing noise levels for training."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.shapes import NoiseLevel

BELOW_ONE = 1 - 2**-24
"""The largest float32 below 1. Rounding would give 1 now and then: no noise in the mixture, but some to predict."""


@dataclass(frozen=True)
class Positions:
    """Places on a schedule: the share of the way from l_{step-1} to l_step."""

    step: Int64[Tensor, " batch"]
    """1 ... S."""
    share: Float64[Tensor, " batch"]
    """0 ... 1; 1 is the level of the step itself."""

    def levels(self, schedule: NoiseSchedule) -> Float64[Tensor, " batch"]:
        """sqrt(alpha_bar) there, below 1."""
        return self._interpolate(schedule, self.step).clamp(max=BELOW_ONE)

    def inner_levels(self, schedule: NoiseSchedule) -> Float64[Tensor, " batch"]:
        """sqrt(alpha_bar) one whole step closer to the clip: with one share for all steps, the levels of a schedule of
        steps as long as those of this one. 1 where the step is the first."""
        return torch.where(self.step > 1, self._interpolate(schedule, (self.step - 1).clamp(min=1)), 1.0)

    def _interpolate(self, schedule: NoiseSchedule, step: Tensor) -> Float64[Tensor, " batch"]:
        levels = schedule.noise_levels
        if self.share.is_cuda:  # without making the host wait for the device
            levels = levels.pin_memory().to(self.share.device, non_blocking=True)
        return torch.lerp(levels[step - 1], levels[step], self.share)


def draw_positions(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> Positions:
    """s ~ Uniform{1..S} and a uniform share of its interval (WaveGrad, Algorithm 1), on the generator's device."""
    step = torch.randint(1, schedule.n_steps + 1, (batch,), generator=generator, device=generator.device)
    return Positions(step, draw_shares(batch, generator))


def draw_shares(batch: int, generator: torch.Generator) -> Float64[Tensor, " batch"]:
    """Uniform in [0, 1)."""
    return torch.rand(batch, generator=generator, device=generator.device, dtype=torch.float64)


def draw_noise_levels(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> NoiseLevel:
    """s ~ Uniform{1..S}, sqrt(alpha_bar) ~ Uniform(l_{s-1}, l_s) (WaveGrad, Algorithm 1), float32, below 1.

    Args:
        schedule: the training schedule, of any length S; l_0 = 1, so the cleanest interval is trained too.
        batch: how many.
        generator: source of randomness; the levels are on its device.
    """
    return draw_positions(schedule, batch, generator).levels(schedule).float()
