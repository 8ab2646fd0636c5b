"""Checkpoints of other implementations of WaveGrad, made into models of this package."""

from wavegrad.checkpoint.importers.importer import LAYOUTS, import_checkpoint

__all__ = ["LAYOUTS", "import_checkpoint"]
