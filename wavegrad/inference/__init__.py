"""The fast way to run a sampler over a network."""

from wavegrad.compiled import KernelWarning
from wavegrad.inference.engine import Engine, EngineOptions
from wavegrad.inference.loop import sample_at_once
from wavegrad.inference.memory import (
    MemoryWarning,
    give_back_memory,
    in_smaller_batches,
    is_of_memory,
    keep_freed_memory,
)
from wavegrad.inference.quantized import check_int8

__all__ = [
    "Engine",
    "EngineOptions",
    "KernelWarning",
    "MemoryWarning",
    "check_int8",
    "give_back_memory",
    "in_smaller_batches",
    "is_of_memory",
    "keep_freed_memory",
    "sample_at_once",
]
