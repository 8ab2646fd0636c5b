"""The ways back from noise to data. Each takes the predicted noise, a schedule and seeds, and knows no network."""

from wavegrad.diffusion.samplers.ancestral import Ancestral, Variance, ancestral_sample
from wavegrad.diffusion.samplers.named import SAMPLERS, named_sampler
from wavegrad.diffusion.samplers.sampler import Sampler

__all__ = ["SAMPLERS", "Ancestral", "Sampler", "Variance", "ancestral_sample", "named_sampler"]
