"""Every named front-end gives what librosa and torchaudio give in its convention."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.reference.mel import REFERENCES, Array
from wavegrad.audio import MEL_PRESETS, MelConfig, MelSpectrogram, mel_preset, read_audio
from wavegrad.config import from_dict, to_dict
from wavegrad.errors import ConfigError

CLIP = Path(__file__).parents[2] / "samples" / "reference" / "ljspeech.flac"


def sweep(sample_rate: int) -> Array:
    """One second: a rising tone over noise at -60 dB, then digital silence."""
    t = np.arange(sample_rate) / sample_rate
    noise = np.random.default_rng(0).standard_normal(sample_rate)
    waveform = 0.5 * np.sin(2 * np.pi * (50 + 0.2 * sample_rate * t) * t) + 1e-3 * noise
    waveform[sample_rate * 2 // 3 :] = 0
    return waveform


def speech(sample_rate: int) -> Array:
    """Two seconds of a shipped clip, resampled, so that some presets have bands without sound."""
    waveform, _ = read_audio(CLIP, sample_rate)
    return waveform[: 2 * sample_rate].double().numpy()


@pytest.mark.parametrize("signal", [sweep, speech])
@pytest.mark.parametrize("library", ["librosa", "torchaudio"])
@pytest.mark.parametrize("name", MEL_PRESETS)
def test_a_preset_equals_its_convention(name: str, library: str, signal: object) -> None:
    """Largest absolute error in the logarithm, measured: 9e-7 in float32 (its rounding), 7e-9 in float64."""
    reference = REFERENCES[name]
    waveform = signal(reference.sample_rate)
    expected = getattr(reference, library)(waveform)
    mel = MelSpectrogram(mel_preset(name))
    exact = mel(torch.from_numpy(waveform)[None])[0].numpy()
    assert exact.shape == expected.shape
    assert np.abs(exact - expected).max() < 1e-7
    rounded = waveform.astype(np.float32)
    in_float32 = mel(torch.from_numpy(rounded)[None])[0].numpy()
    assert np.abs(in_float32 - getattr(reference, library)(rounded.astype(np.float64))).max() < 2e-6


def test_each_preset_has_a_reference_and_a_source() -> None:
    assert REFERENCES.keys() == MEL_PRESETS.keys()
    assert all(preset.source for preset in MEL_PRESETS.values())


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_a_preset_survives_a_file(name: str) -> None:
    config = mel_preset(name)
    assert from_dict(MelConfig, to_dict(config), "config.json") == config


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_silence_is_the_minimum_and_nothing_exceeds_the_maximum(name: str) -> None:
    config = mel_preset(name)
    mel = MelSpectrogram(config)
    n_samples = config.sample_rate // 4
    silence = mel(torch.zeros(1, n_samples, dtype=torch.float64))
    torch.testing.assert_close(silence, torch.full_like(silence, config.minimum), rtol=0, atol=1e-9)
    t = torch.arange(n_samples, dtype=torch.float64) / config.sample_rate
    tones = torch.sin(2 * torch.pi * torch.tensor([[90.0], [440.0], [3000.0], [7000.0]], dtype=torch.float64) * t)
    noise = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loudest = mel(torch.cat([tones, tones.sign(), noise.sign(), torch.ones(1, n_samples)]))
    assert loudest.min() >= config.minimum - 1e-9
    assert loudest.max() <= config.maximum_plausible
    assert loudest.max() > config.maximum_plausible - 2 * 6.02 * _units_per_db(config)  # not much above what occurs


def _units_per_db(config: MelConfig) -> float:
    quiet, loud = (MelSpectrogram(config)(gain * torch.ones(1, 4800).bernoulli(0.5)) for gain in (1e-2, 1e-1))
    return (loud - quiet).median().item() / 20


def test_the_plausible_maximum_is_reached_to_2_db() -> None:
    """A full-scale square wave is the loudest tone there is."""
    config = mel_preset("wavegrad-24k")
    square = torch.sin(2 * torch.pi * 100 * torch.arange(24000) / 24000).sign()
    assert MelSpectrogram(config)(square[None]).max() > config.maximum_plausible - 2 * np.log(10) / 20


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown mel preset 'hifigan-22'.*did you mean 'hifigan-22k'"):
        mel_preset("hifigan-22")
