"""The schedules of the literature, by name."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError, unknown


def _named(schedule: NoiseSchedule, name: str, provenance: str) -> NoiseSchedule:
    return replace(schedule, name=name, provenance=provenance)


_ALL = (
    _named(NoiseSchedule.linear(1e-6, 0.01, 1000), "wavegrad-training", "WaveGrad, training of the continuous model"),
    _named(NoiseSchedule.linear(1e-4, 0.005, 1000), "wavegrad-1000", "WaveGrad, inference with 1000 steps"),
    _named(NoiseSchedule.linear(1e-4, 0.05, 50), "wavegrad-50", "WaveGrad, inference with 50 steps, as reported"),
    _named(NoiseSchedule.fibonacci(25), "fibonacci-25", "WaveGrad, inference with 25 steps: Fibonacci from 1e-6, 2e-6"),
    NoiseSchedule(
        (1e-6, 1.893e-5, 1.194e-4, 1.005e-3, 1.109e-2, 6e-2), "public-6", "a public 6-step schedule for LJSpeech"
    ),
    NoiseSchedule(
        (1e-4, 1e-3, 1e-2, 5e-2, 0.2, 0.5), "diffwave-6", "DiffWave (Kong et al. 2021), fast sampling with 6 steps"
    ),
)

SCHEDULES: Mapping[str, NoiseSchedule] = MappingProxyType({s.name: s for s in _ALL})
"""By name. Their terminal levels: 0.081, 0.279, 0.529, 0.848, 0.964, 0.615. Where one is far from 0, the start from
pure noise is wrong for data of unit variance; they were made for waveforms much quieter than that. WaveGrad's own 6
steps are not among them: they came from a grid search and were not published."""


def named_schedule(name: str) -> NoiseSchedule:
    """The schedule of that name. ConfigError, with the nearest known name, if there is none."""
    if name not in SCHEDULES:
        raise ConfigError(unknown("schedule", name, SCHEDULES))
    return SCHEDULES[name]
