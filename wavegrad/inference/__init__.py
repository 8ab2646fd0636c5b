"""The fast way to run a sampler over a network."""

from wavegrad.inference.engine import Engine

__all__ = ["Engine"]
