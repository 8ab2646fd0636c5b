"""Priors: exact inverses, unit variance, silence, invariance to gain."""

from pathlib import Path

import pytest
import torch

from wavegrad.audio.io import read_audio
from wavegrad.audio.lapped import lapped
from wavegrad.audio.mel import MelSpectrogram
from wavegrad.audio.presets import mel_preset
from wavegrad.audio.prior import PriorConfig, colour, prior_gains, whiten
from wavegrad.errors import ConfigError

SPEECH = Path(__file__).parents[2] / "samples" / "reference"
PRIORS = [PriorConfig("energy"), PriorConfig("spectral", 24), PriorConfig("spectral", 64)]
PRESETS = ["wavegrad-24k", "hifigan-22k"]


def speech(name: str, preset: str) -> torch.Tensor:
    config = mel_preset(preset)
    waveform, _ = read_audio(SPEECH / f"{name}.flac", config.sample_rate)
    return waveform[None, : len(waveform) // config.hop_length * config.hop_length].double()


def gains_of(waveform: torch.Tensor, preset: str, prior: PriorConfig) -> torch.Tensor:
    config = mel_preset(preset)
    gains = prior_gains(MelSpectrogram(config)(waveform)[:, :, : waveform.shape[1] // config.hop_length], config, prior)
    assert gains is not None
    return gains


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_colouring_undoes_whitening(prior, preset):
    """Relative 1e-9 in float64 and 1e-5 in float32, over gains that span 100 dB."""
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-5)):
        waveform = speech("kathleen", preset).to(dtype)
        gains = gains_of(waveform, preset, prior)
        error = (colour(whiten(waveform, gains), gains) - waveform).abs().max() / waveform.abs().max()
        assert error < tolerance


def test_the_standard_prior_is_no_prior_bit_for_bit():
    config = mel_preset("wavegrad-24k")
    waveform = torch.randn(1, 900, generator=torch.Generator().manual_seed(0))
    assert prior_gains(MelSpectrogram(config)(waveform), config, PriorConfig()) is None
    assert whiten(waveform, None) is waveform
    assert colour(waveform, None) is waveform


def test_gains_of_one_change_nothing_but_rounding():
    waveform = torch.randn(1, 1500, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ones = torch.ones(1, 5, 300, dtype=torch.float64)
    torch.testing.assert_close(whiten(waveform, ones), waveform, rtol=0, atol=1e-12)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["kathleen", "flemishguy", "nathalie", "ljspeech"])
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_whitened_speech_has_about_unit_variance(prior, name, preset):
    """Within 2.5 dB of 1 up to the highest band, for voices of very different level; the cut ends of a clip left
    out."""
    config = mel_preset(preset)
    waveform = speech(name, preset)
    whitened = lapped(whiten(waveform, gains_of(waveform, preset, prior)), config.hop_length)
    n_known = int(config.f_max / (config.sample_rate / 2) * config.hop_length)
    rms = whitened[:, 2:-2, :n_known].square().mean().sqrt()
    assert 0.75 < rms < 1.33


def test_the_spectral_prior_flattens_the_spectrum():
    """The rms of ten equal bands of whitened speech spreads by less than 6 dB, that of the speech by more than 25."""
    waveform = speech("kathleen", "wavegrad-24k")
    whitened = whiten(waveform, gains_of(waveform, "wavegrad-24k", PriorConfig("spectral", 64)))
    spread = [lapped(x, 300).square().mean((0, 1)).reshape(10, 30).mean(1).log10() * 10 for x in (waveform, whitened)]
    assert spread[0].max() - spread[0].min() > 25
    assert spread[1].max() - spread[1].min() < 6


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_whitened_speech_does_not_depend_on_its_level(prior):
    """20 dB more in, the same out, while the mel stays above its floor."""
    waveform = speech("kathleen", "wavegrad-24k")[:, 9000:45000]
    quiet, loud = (whiten(g * waveform, gains_of(g * waveform, "wavegrad-24k", prior)) for g in (3.0, 30.0))
    torch.testing.assert_close(quiet, loud, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_silence_is_coloured_to_silence(prior):
    """Noise of unit variance comes out below -90 dBFS where the mel says digital silence."""
    gains = gains_of(torch.zeros(1, 6000), "wavegrad-24k", prior)
    noise = torch.randn(1, 6000, generator=torch.Generator().manual_seed(0))
    assert colour(noise, gains).square().mean().sqrt() < 10 ** (-90 / 20)


def test_nonsense_is_refused_by_value():
    with pytest.raises(ConfigError, match="n_cepstra is 0"):
        PriorConfig("spectral", 0)
    with pytest.raises(ConfigError, match="floor is 0"):
        PriorConfig("energy", floor=0.0)
