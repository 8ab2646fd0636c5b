"""Behind an acoustic model: mels as text-to-speech makes them, here by librosa alone, through small-22k."""

from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from wavegrad import Vocoder
from wavegrad.audio import read_audio

RATE, POINTS, HOP = 22050, 1024, 256
CLIP = Path(__file__).parents[1] / "samples" / "reference" / "ljspeech.flac"


def log_mel(frames_of: np.ndarray) -> Tensor:
    """80 bands of 0 to 8 kHz, ln of magnitudes of at least 1e-5, without centring: whoever calls pads."""
    spectra = np.abs(librosa.stft(frames_of, n_fft=POINTS, hop_length=HOP, center=False))
    bands = librosa.filters.mel(sr=RATE, n_fft=POINTS, n_mels=80, fmin=0, fmax=8000) @ spectra
    return torch.from_numpy(np.log(np.maximum(bands, 1e-5)))


def hifigan_mel(waveform: np.ndarray) -> Tensor:
    """HiFi-GAN, meldataset.py: (n_fft - hop) / 2 reflected samples at both ends, so that frame k is centred on sample
    (k + 1/2) * hop."""
    return log_mel(np.pad(waveform, (POINTS - HOP) // 2, mode="reflect"))


def tacotron_mel(waveform: np.ndarray) -> Tensor:
    """Tacotron 2, stft.py: n_fft / 2 of them, so that frame k is centred on sample k * hop, and one frame more."""
    return log_mel(np.pad(waveform, POINTS // 2, mode="reflect"))


def decibels(a: Tensor, b: Tensor) -> float:
    """Mean distance of two log-mels of audible bands."""
    audible = (a > np.log(1e-4)) & (b > np.log(1e-4))
    return float((a - b)[audible].abs().mean()) * 20 / np.log(10)


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return Vocoder.from_pretrained("small-22k")


@pytest.fixture(scope="module")
def waveform() -> np.ndarray:
    """1.86 s of a voice that the model has not heard, 160 frames."""
    return read_audio(CLIP, RATE)[0].numpy()[: 160 * HOP]


def test_a_mel_of_hifigan_becomes_audio_with_that_mel(vocoder: Vocoder, waveform: np.ndarray) -> None:
    mel = hifigan_mel(waveform)
    audio = vocoder(mel, seed=0)
    assert audio.shape == (mel.shape[1] * HOP,)
    assert decibels(hifigan_mel(audio.numpy()), mel) < 1.0


def test_a_mel_of_tacotron_becomes_audio_half_a_frame_late(vocoder: Vocoder, waveform: np.ndarray) -> None:
    mel = tacotron_mel(waveform)
    assert mel.shape[1] == len(waveform) // HOP + 1
    audio = vocoder(mel, seed=0).numpy()
    late = [
        decibels(hifigan_mel(audio[n : n + len(waveform) - HOP]), hifigan_mel(waveform[:-HOP]))
        for n in (0, HOP // 2, HOP)
    ]
    assert late[1] < 1.0 < min(late[0], late[2])


def test_a_stream_of_an_acoustic_model_is_the_call(vocoder: Vocoder, waveform: np.ndarray) -> None:
    mel = hifigan_mel(waveform)[:, :40]
    pieces = torch.cat(list(vocoder.stream(mel.split(17, dim=1), seed=0)))
    whole = vocoder(mel, seed=0)
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-4 * float(whole.abs().max()))
