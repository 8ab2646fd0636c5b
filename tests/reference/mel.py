"""The presets' conventions as their sources state them, computed in float64 with librosa and with torchaudio.

Written down a second time, in the words of the sources, so that a wrong value in a preset shows.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def ln_clamped(bands: Array) -> Array:
    """hifi-gan `spectral_normalize_torch`."""
    return np.log(np.clip(bands, 1e-5, None))


def lmnt_normalised(bands: Array) -> Array:
    """lmnt-com `preprocess.py`."""
    return np.clip((20 * np.log10(np.clip(bands, 1e-5, None)) - 20 + 100) / 100, 0, 1)


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@dataclass(frozen=True)
class Reference:
    """One convention."""

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int
    n_mels: int
    f_min: float
    f_max: float
    compress: Callable[[Array], Array]
    htk: bool = False
    norm: str | None = "slaney"
    power: float = 1.0
    epsilon: float = 0.0
    """Below the root of the magnitude."""
    normalized: bool = False
    """torchaudio's flag."""
    center: bool = False
    """False: the signal is reflected by (n_fft - hop) / 2 by hand."""
    options: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        common = {"n_fft": self.n_fft, "win_length": self.win_length, "hop_length": self.hop_length}
        object.__setattr__(self, "options", {**common, "center": self.center, "pad_mode": "reflect"})

    def padded(self, waveform: Array) -> Array:
        pad = 0 if self.center else (self.n_fft - self.hop_length) // 2
        return np.pad(waveform, pad, mode="reflect")

    def librosa(self, waveform: Array) -> Array:
        """Mel of one float64 waveform by librosa."""
        stft = librosa.stft(self.padded(waveform), window="hann", **self.options)
        if self.normalized:
            stft = stft / np.sqrt(np.sum(librosa.filters.get_window("hann", self.win_length) ** 2))
        spectrum = np.sqrt(np.abs(stft) ** 2 + self.epsilon) ** self.power
        filters = librosa.filters.mel(
            sr=self.sample_rate,
            n_fft=self.n_fft,
            n_mels=self.n_mels,
            fmin=self.f_min,
            fmax=self.f_max,
            htk=self.htk,
            norm=self.norm,
            dtype=np.float64,
        )
        return self.compress(filters @ spectrum)

    def torchaudio(self, waveform: Array) -> Array:
        """Mel of one float64 waveform by torchaudio.

        Its windows and filters have the default precision; in float32 their rounding alone makes up to 4e-4 in the
        logarithm of speech.
        """
        with float64_by_default():
            spectrogram = torchaudio.transforms.Spectrogram(power=None, normalized=self.normalized, **self.options)
            to_mel = torchaudio.transforms.MelScale(
                self.n_mels,
                self.sample_rate,
                self.f_min,
                self.f_max,
                self.n_fft // 2 + 1,
                self.norm,
                "htk" if self.htk else "slaney",
            )
        stft = spectrogram(torch.from_numpy(self.padded(waveform)))
        spectrum = (stft.abs() ** 2 + self.epsilon).sqrt() ** self.power
        return self.compress(to_mel(spectrum).numpy())


WAVEGRAD_24K = Reference(24000, 2048, 1200, 300, 128, 20, 12000, ln_clamped)
HIFIGAN_22K = Reference(22050, 1024, 1024, 256, 80, 0, 8000, ln_clamped, epsilon=1e-9)
LMNT_22K = Reference(
    22050, 2048, 1200, 300, 128, 20, 11025, lmnt_normalised, htk=True, norm=None, normalized=True, center=True
)
LMNT_24K = Reference(
    24000, 2048, 1200, 300, 128, 20, 12000, lmnt_normalised, htk=True, norm=None, normalized=True, center=True
)
IVANVOVK_22K = Reference(
    22050,
    1024,
    1024,
    300,
    80,
    80,
    8000,
    lambda bands: np.log10(np.clip(bands, 1e-8, None)),
    htk=True,
    norm=None,
    power=2.0,
    center=True,
)
VOCOS_24K = Reference(
    24000,
    1024,
    1024,
    256,
    100,
    0,
    12000,
    lambda bands: np.log(np.clip(bands, 1e-7, None)),
    htk=True,
    norm=None,
    center=True,
)
BIGVGAN_24K_100 = Reference(24000, 1024, 1024, 256, 100, 0, 12000, ln_clamped, epsilon=1e-9)
SPEECHT5_16K = Reference(
    16000, 1024, 1024, 256, 80, 80, 7600, lambda bands: np.log10(np.clip(bands, 1e-10, None)), center=True
)

REFERENCES = {
    "wavegrad-24k": WAVEGRAD_24K,
    "hifigan-22k": HIFIGAN_22K,
    "lmnt-22k": LMNT_22K,
    "lmnt-24k": LMNT_24K,
    "ivanvovk-22k": IVANVOVK_22K,
    "vocos-24k": VOCOS_24K,
    "bigvgan-24k-100": BIGVGAN_24K_100,
    "speecht5-16k": SPEECHT5_16K,
}
