"""One training example: from crops to the loss of Algorithm 1."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from wavegrad.audio.lapped import Coefficients
from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.audio.prior import PriorConfig, PriorGains, whiten
from wavegrad.diffusion.loss import noise_loss
from wavegrad.diffusion.process import diffuse
from wavegrad.shapes import Mask, Mel, NoiseLevel, Waveform
from wavegrad.training.bank import to_device
from wavegrad.training.data import Crops

LossNorm = Literal["l1", "l2"]


@dataclass(frozen=True)
class Example:
    """What the network is trained on: y_0 (whitened by the prior), its condition x, and where it counts."""

    y_0: Waveform
    mel: Mel
    mask: Mask
    gains: Coefficients | None = None
    """Of the prior: what colours y_0 again; None for the standard prior."""


class Preprocessor:
    """Crops with context -> gain, mel, whitening -> crops without context, on the device of the network."""

    def __init__(self, mel_config: MelConfig, prior: PriorConfig, context: int, device: torch.device):
        self.mel_config = mel_config
        self.context = context
        self.device = device
        self._mel = MelSpectrogram(mel_config).to(device)
        self._gains = PriorGains(mel_config, prior).to(device)

    @torch.no_grad()
    def __call__(self, crops: Crops) -> Example:
        windows = to_device(crops.windows, self.device) * to_device(crops.gains, self.device)[:, None]
        n_frames = windows.shape[1] // self.mel_config.hop_length
        mel = self._mel(windows)[:, :, :n_frames] if crops.mels is None else to_device(crops.mels, self.device)
        gains = self._gains(mel)
        y_0 = whiten(windows, gains)
        n_context = self.context // self.mel_config.hop_length
        inside = slice(self.context, -self.context)
        frames = slice(n_context, -n_context)
        mask = to_device(crops.mask, self.device)
        return Example(y_0[:, inside], mel[:, :, frames], mask, None if gains is None else gains[:, frames])


def loss_at(network: nn.Module, example: Example, levels: NoiseLevel, noise: Waveform, norm: LossNorm = "l1") -> Tensor:
    """The noise loss of Algorithm 1 at given levels and noise, averaged over the samples that count."""
    y = diffuse(example.y_0, levels, noise)
    return noise_loss(noise, network(y, example.mel, levels).float(), example.mask, norm)
