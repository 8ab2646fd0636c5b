"""Griffin-Lim: what a mel sounds like without a model."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig, band_values, mel_filterbank


def griffin_lim(mel: Float[Tensor, "n_mels frames"], config: MelConfig, n_iter: int = 60) -> Float[Tensor, " time"]:
    """Non-negative least squares for the magnitudes, then Griffin-Lim with momentum (Perraudin et al. 2013; librosa).

    Returns:
        frames * hop_length samples.

    Raises:
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    import librosa

    bands = band_values(mel[None], config)[0].double().numpy()
    magnitudes = librosa.util.nnls(mel_filterbank(config).numpy(), bands) ** (1 / config.power)
    if config.stft_normalized:
        magnitudes = magnitudes * np.sqrt(torch.hann_window(config.win_length).square().sum().item())
    n_samples = mel.shape[1] * config.hop_length
    waveform = librosa.griffinlim(
        magnitudes,
        n_iter=n_iter,
        hop_length=config.hop_length,
        win_length=config.win_length,
        n_fft=config.n_fft,
        random_state=0,
    )
    shift = config.hop_length // 2 if config.centring == "same" else 0  # librosa centres frame k on k * hop
    placed = np.pad(waveform, (shift, max(0, n_samples - shift - len(waveform))))[:n_samples]
    return torch.from_numpy(placed).float()
