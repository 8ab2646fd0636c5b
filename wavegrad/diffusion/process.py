"""The diffusion process: how much signal and how much noise."""

from wavegrad.shapes import NoiseLevel, Waveform


def diffuse(y_0: Waveform, noise_level: NoiseLevel, noise: Waveform) -> Waveform:
    """sqrt(alpha_bar) y_0 + sqrt(1 - alpha_bar) epsilon (WaveGrad, eq. 5); `noise_level` is sqrt(alpha_bar) of each
    item."""
    level = noise_level[:, None]
    return level * y_0 + (1 - level.square()).sqrt() * noise
