"""The vocoder: what a model is, and what it makes of a mel."""

from wavegrad.vocoder.frozen_model import EngineName
from wavegrad.vocoder.schedules import choose_schedule, generic_schedule, standard_schedules
from wavegrad.vocoder.vocoder import Vocoder

__all__ = ["EngineName", "Vocoder", "choose_schedule", "generic_schedule", "standard_schedules"]
