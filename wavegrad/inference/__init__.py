"""The fast way to run a sampler over a network."""

from wavegrad.inference.engine import Engine, EngineOptions
from wavegrad.inference.fused_film import KernelWarning
from wavegrad.inference.loop import sample_at_once
from wavegrad.inference.memory import MemoryWarning, give_back_memory, in_smaller_batches, is_of_memory

__all__ = [
    "Engine",
    "EngineOptions",
    "KernelWarning",
    "MemoryWarning",
    "give_back_memory",
    "in_smaller_batches",
    "is_of_memory",
    "sample_at_once",
]
