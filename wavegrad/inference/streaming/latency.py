"""How long a stream must wait: computed from the network, not measured."""

from wavegrad.network.config import WaveGradConfig
from wavegrad.network.receptive_field import inputs_of_sample


def frames_needed(config: WaveGradConfig, n_steps: int, sample: int) -> int:
    """Mel frames that must have come before samples 0 ... `sample` of y_0 are final.

    Each step looks ahead from the last sample that the next one asks it for. The noise of the first step is known, but
    a sample that no frame has come for may as well lie beyond the end, where the network sees zeros.
    """
    frames = 0
    for _ in range(n_steps):
        waveform, mel = inputs_of_sample(config, sample)
        frames = max(frames, mel.last + 1)
        sample = waveform.last
    return max(frames, sample // config.hop_length + 1)
