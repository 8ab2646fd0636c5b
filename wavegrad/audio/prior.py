"""Priors: the noise that the refinement starts from, fitted to the mel.

A prior is a gain for every coefficient of an orthogonal lapped transform, read off the mel. The diffusion runs on the
*whitened* waveform (coefficients divided by their gains), which has about unit variance everywhere whatever the level
and the colour of the sound; `colour` undoes it at the end, exactly. So schedules, losses and samplers are the standard
ones, a quiet passage is as well resolved as a loud one, and silence stays silent.

"standard" is WaveGrad's white noise. "energy" gives every frame one gain (PriorGrad, Lee et al. 2022, arXiv
2106.06406). "spectral" follows the spectral envelope (SpecGrad, Koizumi et al. 2022, arXiv 2203.16749). Differs from
SpecGrad: its filter is a short-time Fourier one, inverted approximately; the lapped transform inverts to rounding.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.lapped import Coefficients, inverse_lapped, lapped
from wavegrad.audio.mel import MelConfig, band_amplitude, band_centres
from wavegrad.errors import ConfigError
from wavegrad.shapes import Mel, Waveform


@dataclass(frozen=True)
class PriorConfig:
    """Which prior, and how smooth."""

    kind: Literal["standard", "energy", "spectral"] = "standard"
    """"standard": white noise of unit variance (the paper). "energy": one gain a frame. "spectral": the mel's
    envelope."""
    n_cepstra: int = 24
    """"spectral" only: how many cepstral coefficients of the log-mel are kept; few give a smooth envelope (SpecGrad:
    24)."""
    strength: float = 1.0
    """"spectral" only: exponent of the envelope. 1 whitens fully, so that every hertz counts the same in the loss;
    less keeps part of the tilt of speech, so that the strong low harmonics count more. 0 is the "energy" prior."""
    floor: float = 1e-5
    """Smallest gain, relative to full scale: the level of the noise where the mel says silence."""

    def __post_init__(self) -> None:
        if self.n_cepstra < 1:
            raise ConfigError(f"n_cepstra is {self.n_cepstra}; it must be 1 or more")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"strength is {self.strength}; it must lie between 0 and 1")
        if not 0 < self.floor < 1:
            raise ConfigError(f"floor is {self.floor}; it must lie between 0 and 1")


def prior_gains(mel: Mel, mel_config: MelConfig, config: PriorConfig) -> Coefficients | None:
    """Standard deviation that the mel leads to expect of each coefficient, or None for the standard prior.

    Args:
        mel: `batch n_mels frames`, in the convention of `mel_config`.

    Returns:
        `batch frames hop`, positive, float32 or the precision of the mel.
    """
    if config.kind == "standard":
        return None
    amplitude = band_amplitude(mel, mel_config).clamp(min=config.floor).mT  # batch frames n_mels
    to_bins = interpolation(mel_config, amplitude)
    power = amplitude.square() @ to_bins
    strength = config.strength if config.kind == "spectral" else 0.0
    shape = (strength * smooth(amplitude.log(), config.n_cepstra) @ to_bins).exp()
    level = (power / shape.square()).mean(2, keepdim=True).sqrt()  # unit variance of the whitened frame
    return (level * shape).clamp(min=config.floor)


def whiten(waveform: Waveform, gains: Coefficients | None) -> Waveform:
    """Divide each coefficient by its gain: `batch frames*hop`, unchanged where `gains` is None."""
    return waveform if gains is None else inverse_lapped(lapped(waveform, gains.shape[2]) / gains)


def colour(waveform: Waveform, gains: Coefficients | None) -> Waveform:
    """Multiply each coefficient by its gain: undoes `whiten`."""
    return waveform if gains is None else inverse_lapped(lapped(waveform, gains.shape[2]) * gains)


def smooth(log_amplitude: Float[Tensor, "batch frames n_mels"], n_cepstra: int) -> Float[Tensor, "batch frames n_mels"]:
    """Keep the first coefficients of the DCT-II over the bands."""
    n_mels = log_amplitude.shape[2]
    grid = torch.arange(n_mels, dtype=log_amplitude.dtype, device=log_amplitude.device)
    basis = torch.cos(torch.pi / n_mels * (grid[:, None] + 0.5) * grid[:n_cepstra]) * (2 / n_mels) ** 0.5
    basis[:, 0] *= 0.5**0.5  # orthonormal columns
    return log_amplitude @ basis @ basis.T


def interpolation(mel_config: MelConfig, like: Tensor) -> Float[Tensor, "n_mels hop"]:
    """Weights that interpolate a curve over band centres linearly in frequency; flat beyond the outer bands."""
    centres = band_centres(mel_config).to(like)
    hop = mel_config.hop_length
    bins = (torch.arange(hop, dtype=like.dtype, device=like.device) + 0.5) * mel_config.sample_rate / (2 * hop)
    right = torch.searchsorted(centres, bins).clamp(1, len(centres) - 1)
    share = ((bins - centres[right - 1]) / (centres[right] - centres[right - 1])).clamp(0, 1)
    weights = torch.zeros(len(centres), hop, dtype=like.dtype, device=like.device)
    weights.scatter_(0, right[None] - 1, (1 - share)[None])
    return weights.scatter_add_(0, right[None], share[None])
