"""Legend of axes: the tensors that travel between the parts."""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor

Waveform = Float[Tensor, "batch time"]
"""Samples in [-1, 1], or anything of the same shape (noise, noisy waveform)."""
Mel = Float[Tensor, "batch n_mels frames"]
"""Log-mel spectrogram in the convention of a MelConfig."""
NoiseLevel = Float[Tensor, " batch"]
"""sqrt(alpha_bar), in (0, 1]: the share of the clean signal's amplitude."""
Feature = Float[Tensor, "batch channels time"]
"""What flows inside the network."""
FeatureOut = Float[Tensor, "batch channels_out time_out"]
"""What a layer makes of a Feature: other channels, another length."""
Mask = Bool[Tensor, "batch time"]
"""True where a sample counts."""
PredictNoise = Callable[[Waveform, NoiseLevel], Waveform]
"""epsilon_theta with its condition bound: predict_noise(y, noise_level)."""
PredictNoiseAndVariance = Callable[[Waveform, NoiseLevel], tuple[Waveform, Waveform]]
"""The same of a network with a learned variance: also v, the share of log beta in the log-variance, in [0, 1]."""
