"""How long a stream must wait: computed from the network, not measured."""

from typing import NamedTuple

from wavegrad.network.config import WaveGradConfig
from wavegrad.network.receptive_field import inputs_of_sample


class Needed(NamedTuple):
    """The last inputs that a sample of y_0 depends on."""

    sample: int
    """Of y_N."""
    frame: int
    """Of the mel."""


def inputs_needed(config: WaveGradConfig, n_steps: int, sample: int) -> Needed:
    """What must have come before samples 0 ... `sample` of y_0 are final.

    Each step looks ahead from the last sample that the next one asks it for. The noise that it all starts from is known
    beforehand, but a sample that no frame has come for may as well lie beyond the end, where the network sees zeros.
    """
    frame = 0
    for _ in range(n_steps):
        waveform, mel = inputs_of_sample(config, sample)
        frame = max(frame, mel.last)
        sample = waveform.last
    return Needed(sample, max(frame, sample // config.hop_length))


def stream_lag(config: WaveGradConfig, n_steps: int, pipeline_frames: int | None = None) -> int:
    """How many frames y_0 is behind the mel: `StreamSampler.lag`.

    Each step takes whole frames, and is as many of them late as the last sample of a frame looks ahead. In a pipeline,
    each is one call more behind the one before.
    """
    last_of_frame = 3 * config.hop_length - 1
    step_lag = inputs_needed(config, 1, last_of_frame).frame - 2
    return n_steps * step_lag + (n_steps - 1) * (pipeline_frames or 0)
