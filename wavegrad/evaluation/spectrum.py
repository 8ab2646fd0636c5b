"""Magnitudes of a short-time Fourier transform."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64
from torch import Tensor


def magnitudes(
    waveform: Float[Tensor, " n"], n_fft: int, hop_length: int, win_length: int
) -> Float64[Tensor, "bins frames"]:
    """Hann window, frame k centred on sample k * hop_length, borders mirrored.

    Audio shorter than half a transform is extended with zeros first, since it cannot be mirrored.
    """
    x = waveform.double()
    x = F.pad(x, (0, max(0, n_fft // 2 + 1 - len(x))))
    window = torch.hann_window(win_length, dtype=torch.float64)
    return torch.stft(x, n_fft, hop_length, win_length, window, pad_mode="reflect", return_complex=True).abs()


def scaled(samples: int, sample_rate: int, defined_at: int) -> int:
    """As many seconds at `sample_rate` as `samples` are at the rate that a definition was written for."""
    return max(1, round(samples * sample_rate / defined_at))
