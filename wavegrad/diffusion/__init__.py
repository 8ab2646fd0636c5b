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
    LinearStep,
    PredictorCorrector,
    Sampler,
    Variance,
    ancestral_sample,
    ancestral_steps,
    choose_sampler,
    ddim_steps,
    default_sampler,
    dpm_solver_steps,
    is_linear,
    linear_steps,
    named_sampler,
    sampler_name,
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
    "LinearStep",
    "Noise",
    "NoiseSchedule",
    "PredictorCorrector",
    "Sampler",
    "ScheduleWarning",
    "SeededNoise",
    "Variance",
    "ancestral_sample",
    "ancestral_steps",
    "choose_sampler",
    "ddim_steps",
    "default_sampler",
    "diffuse",
    "dpm_solver_steps",
    "draw_noise_levels",
    "is_linear",
    "linear_steps",
    "named_sampler",
    "named_schedule",
    "noise_loss",
    "sampler_name",
    "seeded_noise",
]
