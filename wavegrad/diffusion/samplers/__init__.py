"""The ways back from noise to data. Each takes the predicted noise, a schedule and seeds, and knows no network."""

from wavegrad.diffusion.samplers.ancestral import Ancestral, Variance, ancestral_sample
from wavegrad.diffusion.samplers.ddim import DDIM
from wavegrad.diffusion.samplers.default import choose_sampler, default_sampler
from wavegrad.diffusion.samplers.dpm_solver import DPMSolver
from wavegrad.diffusion.samplers.euler_maruyama import EulerMaruyama
from wavegrad.diffusion.samplers.heun import Heun
from wavegrad.diffusion.samplers.linear import (
    LinearStep,
    ancestral_steps,
    ddim_steps,
    dpm_solver_steps,
    is_linear,
    linear_steps,
)
from wavegrad.diffusion.samplers.named import SAMPLERS, named_sampler, sampler_name
from wavegrad.diffusion.samplers.predictor_corrector import PredictorCorrector
from wavegrad.diffusion.samplers.sampler import Sampler

__all__ = [
    "DDIM",
    "SAMPLERS",
    "Ancestral",
    "DPMSolver",
    "EulerMaruyama",
    "Heun",
    "LinearStep",
    "PredictorCorrector",
    "Sampler",
    "Variance",
    "ancestral_sample",
    "ancestral_steps",
    "choose_sampler",
    "ddim_steps",
    "default_sampler",
    "dpm_solver_steps",
    "is_linear",
    "linear_steps",
    "named_sampler",
    "sampler_name",
]
