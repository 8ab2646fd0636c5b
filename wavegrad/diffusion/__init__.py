"""The noise process: schedules, the training objective, samplers. It knows no network and no audio."""

from wavegrad.diffusion.counter_noise import CounterNoise, seeded_noise
from wavegrad.diffusion.loss import noise_loss
from wavegrad.diffusion.named_schedules import SCHEDULES, named_schedule
from wavegrad.diffusion.noise import Noise, SeededNoise
from wavegrad.diffusion.noise_level import draw_noise_levels
from wavegrad.diffusion.process import diffuse
from wavegrad.diffusion.samplers import (
    DDIM,
    SAMPLERS,
    Ancestral,
    DPMSolver,
    EulerMaruyama,
    Heun,
    PredictorCorrector,
    Sampler,
    Variance,
    ancestral_sample,
    choose_sampler,
    default_sampler,
    named_sampler,
)
from wavegrad.diffusion.schedule import NoiseSchedule, ScheduleWarning

__all__ = [
    "DDIM",
    "SAMPLERS",
    "SCHEDULES",
    "Ancestral",
    "CounterNoise",
    "DPMSolver",
    "EulerMaruyama",
    "Heun",
    "Noise",
    "NoiseSchedule",
    "PredictorCorrector",
    "Sampler",
    "ScheduleWarning",
    "SeededNoise",
    "Variance",
    "ancestral_sample",
    "choose_sampler",
    "default_sampler",
    "diffuse",
    "draw_noise_levels",
    "named_sampler",
    "named_schedule",
    "noise_loss",
    "seeded_noise",
]
