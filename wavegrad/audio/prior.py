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
from jaxtyping import Float64
from torch import Tensor, nn

from wavegrad.audio.lapped import Coefficients, inverse_lapped, lapped
from wavegrad.audio.mel import BandAmplitude, MelConfig, band_centres
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


class PriorGains(nn.Module):
    """Mel `batch n_mels frames` -> the standard deviation that it leads to expect of each coefficient, `batch frames
    hop`, positive; None for the standard prior.

    The module holds what does not depend on the mel, so that training computes it once. It has no parameters and
    nothing in its state dict.
    """

    to_bins: Tensor
    smooth: Tensor

    def __init__(self, mel_config: MelConfig, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self._amplitude = BandAmplitude(mel_config)
        self.register_buffer("to_bins", _interpolation(mel_config), persistent=False)
        self.register_buffer("smooth", _smoothing(mel_config.n_mels, config.n_cepstra), persistent=False)

    def forward(self, mel: Mel) -> Coefficients | None:
        """Gains in the precision of the mel."""
        config = self.config
        if config.kind == "standard":
            return None
        to_bins, smooth = self.to_bins.to(mel.dtype), self.smooth.to(mel.dtype)
        amplitude = self._amplitude(mel).clamp(min=config.floor).mT  # batch frames n_mels
        power = amplitude.square() @ to_bins
        strength = config.strength if config.kind == "spectral" else 0.0
        shape = (strength * (amplitude.log() @ smooth) @ to_bins).exp()
        level = (power / shape.square()).mean(2, keepdim=True).sqrt()  # unit variance of the whitened frame
        return (level * shape).clamp(min=config.floor)


def prior_gains(mel: Mel, mel_config: MelConfig, config: PriorConfig) -> Coefficients | None:
    """`PriorGains` for a single mel, in the convention of `mel_config`."""
    return PriorGains(mel_config, config).to(mel.device)(mel)


def whiten(waveform: Waveform, gains: Coefficients | None) -> Waveform:
    """Divide each coefficient by its gain: `batch frames*hop`, unchanged where `gains` is None."""
    return waveform if gains is None else inverse_lapped(lapped(waveform, gains.shape[2]) / gains)


def colour(waveform: Waveform, gains: Coefficients | None) -> Waveform:
    """Multiply each coefficient by its gain: undoes `whiten`."""
    return waveform if gains is None else inverse_lapped(lapped(waveform, gains.shape[2]) * gains)


def whitening_log_det(gains: Coefficients) -> Float64[Tensor, " batch"]:
    """log |det| of `whiten` as a linear map of the waveform: -sum(log gains), the lapped transform being orthogonal."""
    return -gains.double().log().sum((1, 2))


def _smoothing(n_mels: int, n_cepstra: int) -> Float64[Tensor, "n_mels n_mels"]:
    """The projection on the first basis vectors of the DCT-II over the bands: it keeps the first cepstra."""
    grid = torch.arange(n_mels, dtype=torch.float64)
    basis = torch.cos(torch.pi / n_mels * (grid[:, None] + 0.5) * grid[:n_cepstra]) * (2 / n_mels) ** 0.5
    basis[:, 0] *= 0.5**0.5  # orthonormal columns
    return basis @ basis.T


def _interpolation(mel_config: MelConfig) -> Float64[Tensor, "n_mels hop"]:
    """Weights that interpolate a curve over band centres linearly in frequency; flat beyond the outer bands."""
    centres = band_centres(mel_config)
    hop = mel_config.hop_length
    bins = (torch.arange(hop, dtype=torch.float64) + 0.5) * mel_config.sample_rate / (2 * hop)
    right = torch.searchsorted(centres, bins).clamp(1, len(centres) - 1)
    share = ((bins - centres[right - 1]) / (centres[right] - centres[right - 1])).clamp(0, 1)
    weights = torch.zeros(len(centres), hop, dtype=torch.float64)
    weights.scatter_(0, right[None] - 1, (1 - share)[None])
    return weights.scatter_add_(0, right[None], share[None])
