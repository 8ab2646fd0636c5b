"""The fast way to run a sampler over a network."""

from wavegrad.inference.engine import Engine
from wavegrad.inference.loop import sample_at_once
from wavegrad.inference.memory import MemoryWarning, in_smaller_batches

__all__ = ["Engine", "MemoryWarning", "in_smaller_batches", "sample_at_once"]
