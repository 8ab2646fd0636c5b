"""Drawing continuous noise levels for training."""

import torch

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.shapes import NoiseLevel

BELOW_ONE = 1 - 2**-24
"""The largest float32 below 1. Rounding would give 1 now and then: no noise in the mixture, but some to predict."""


def draw_noise_levels(schedule: NoiseSchedule, batch: int, generator: torch.Generator) -> NoiseLevel:
    """s ~ Uniform{1..S}, sqrt(alpha_bar) ~ Uniform(l_{s-1}, l_s) (WaveGrad, Algorithm 1), float32, below 1.

    Args:
        schedule: the training schedule, of any length S; l_0 = 1, so the cleanest interval is trained too.
        batch: how many.
        generator: source of randomness; the levels are on its device.
    """
    levels = schedule.noise_levels.to(generator.device)
    s = torch.randint(1, schedule.n_steps + 1, (batch,), generator=generator, device=generator.device)
    share = torch.rand(batch, generator=generator, device=generator.device, dtype=torch.float64)
    drawn = torch.lerp(levels[s - 1], levels[s], share).float()
    return drawn.clamp(max=BELOW_ONE)
