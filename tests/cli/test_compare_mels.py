"""`wavegrad compare-mels`: mels and audio, in any pairing."""

import math

import numpy as np
import pytest
import torch

from tests.cli.conftest import SPEECH
from wavegrad.audio import MelSpectrogram, mel_preset, read_audio

CLIP = SPEECH / "kathleen.flac"


@pytest.fixture
def mel(tmp_path):
    """The default mel of half the clip."""
    mel = MelSpectrogram(mel_preset("wavegrad-24k"))(read_audio(CLIP)[0][None])[0]
    np.save(tmp_path / "mel.npy", mel.numpy())
    return tmp_path / "mel.npy"


def test_two_mels(run, mel, tmp_path):
    torch.save(torch.from_numpy(np.load(mel).T / math.log(10))[None], tmp_path / "tts.pt")
    result = run("compare-mels", mel, tmp_path / "tts.pt")
    assert result.code == 0, result.err
    assert f"A: {mel}: mel, 128 x 258, values -10.67 to 0.46" in result.out
    assert "- axes: B is transposed, (258, 128) where (n_mels, frames) is meant; pass B.T" in result.out
    assert "- logarithm: A is in ln, B in log10; B = 0.4343 A" in result.out
    assert len(result.out.splitlines()) == 5


def test_a_mel_and_its_audio(run, mel):
    result = run("compare-mels", mel, CLIP, "--preset", "wavegrad-24k")
    assert result.code == 0, result.err
    assert "preset: wavegrad-24k, 0.000 dB from it on average" in result.out
    assert "same convention" in result.out


def test_audio_beside_audio(run, tmp_path):
    import soundfile

    samples, rate = soundfile.read(CLIP, dtype="float32")
    soundfile.write(tmp_path / "late.wav", np.concatenate((np.zeros(1200, np.float32), samples)), rate)
    result = run("compare-mels", CLIP, tmp_path / "late.wav")
    assert "offset: B is 4.0 frames late" in result.out


def test_mistakes(run, mel, tmp_path):
    np.save(tmp_path / "flat.npy", np.zeros(128))
    assert "has shape (128,)" in run("compare-mels", mel, tmp_path / "flat.npy").err
    assert run("compare-mels", mel, CLIP, "--preset", "wavegrad-24k", "--model", "x").code == 2
    assert "does not exist" in run("compare-mels", mel, tmp_path / "none.wav").err
