"""The log-mel front-end: what must hold for every convention."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from wavegrad.audio import MEL_PRESETS, MelConfig, MelSpectrogram, band_amplitude, mel_filterbank, mel_preset
from wavegrad.audio.mel import band_centres
from wavegrad.errors import AudioError, ConfigError

SMALL = MelConfig(sample_rate=8000, n_fft=64, win_length=50, hop_length=20, n_mels=6, f_min=100.0, f_max=4000.0)
CENTRED = replace(SMALL, centring="center")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(
    n_samples=st.integers(20, 400),
    hop_length=st.sampled_from([16, 19, 20]),
    centring=st.sampled_from(["center", "same"]),
)
def test_frames_are_a_function_of_the_sample_count(n_samples: int, hop_length: int, centring: Any) -> None:
    """An odd n_fft - hop included."""
    config = replace(SMALL, hop_length=hop_length, centring=centring)
    n_frames = n_samples // hop_length + (1 if centring == "center" else 0)
    assert config.n_frames(n_samples) == n_frames
    assert MelSpectrogram(config)(noise(1, n_samples)).shape == (1, config.n_mels, n_frames)
    assert config.n_samples(n_frames) == n_frames * hop_length


@pytest.mark.parametrize(("config", "centre"), [(CENTRED, 100), (SMALL, 110)])
def test_frames_are_centred_where_the_config_says(config: MelConfig, centre: int) -> None:
    """Frame 5 is symmetrical about sample 5 * hop ("center") or 5.5 * hop ("same")."""
    click = torch.zeros(1, 200, dtype=torch.float64)
    click[0, centre] = 1
    mel = MelSpectrogram(config)(click)[0]
    assert mel.sum(0).argmax() == 5
    torch.testing.assert_close(mel[:, 4], mel[:, 6])


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_ten_times_the_gain_shifts_the_logarithm(name: str) -> None:
    """By ln 10 for natural logarithms of magnitudes, 20 dB, and so on."""
    config = replace(mel_preset(name), clamp_min=None, clamp_max=None, magnitude_epsilon=0.0)
    mel = MelSpectrogram(config)
    per_decade = {"ln": math.log(10), "log10": 1.0, "db": 20.0 / config.power}[config.log] * config.power * config.scale
    waveform = noise(1, config.sample_rate // 4)
    torch.testing.assert_close(mel(10 * waveform), mel(waveform) + per_decade)


@pytest.mark.parametrize(
    ("log", "power", "units_per_neper"),
    [
        ("log10", 1.0, 1 / math.log(10)),
        ("log10", 2.0, 1 / math.log(10)),
        ("db", 1.0, 20 / math.log(10)),
        ("db", 2.0, 10 / math.log(10)),
    ],
)
def test_logarithms_differ_by_a_factor(log: Any, power: float, units_per_neper: float) -> None:
    natural, other = (MelSpectrogram(replace(SMALL, log=kind, power=power)) for kind in ("ln", log))
    torch.testing.assert_close(other(noise(1, 200)), units_per_neper * natural(noise(1, 200)))


def test_a_batch_is_its_items() -> None:
    mel = MelSpectrogram(mel_preset("wavegrad-24k"))
    waveforms = noise(3, 6000).float()
    torch.testing.assert_close(mel(waveforms), torch.cat([mel(waveform[None]) for waveform in waveforms]))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"centring": "center", "pad_mode": "constant"},
        {"power": 2.0, "log": "db", "reference_level": 20.0, "scale": 0.01, "offset": 1.0, "clamp_min": 0.0},
        {"magnitude_epsilon": 1e-9, "log": "log10", "stft_normalized": True, "mel_scale": "htk", "mel_norm": "none"},
    ],
)
def test_gradients_are_those_of_finite_differences(changes: dict[str, Any]) -> None:
    mel = MelSpectrogram(replace(SMALL, **changes))
    assert torch.autograd.gradcheck(mel, noise(2, 90).requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_gradients_of_silence_are_zero(name: str) -> None:
    """Not NaN, as the slope of a square root at 0 would make them."""
    config = mel_preset(name)
    waveform = torch.zeros(1, 3 * config.hop_length, requires_grad=True)
    (MelSpectrogram(config)(waveform)).sum().backward()
    assert waveform.grad is not None
    assert (waveform.grad == 0).all()


def test_precision_is_that_of_the_waveform() -> None:
    mel = MelSpectrogram(mel_preset("wavegrad-24k"))
    waveform = noise(1, 3000)
    exact, rounded = mel(waveform), mel(waveform.float())
    assert (exact.dtype, rounded.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=1e-4)


def test_autocast_changes_nothing() -> None:
    mel = MelSpectrogram(mel_preset("hifigan-22k"))
    waveform = noise(1, 2000).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = mel(waveform)
    assert torch.equal(cast, mel(waveform))


def test_a_module_that_was_cast_still_works() -> None:
    waveform = noise(1, 2000).float()
    mel = MelSpectrogram(SMALL)
    torch.testing.assert_close(mel.float()(waveform), MelSpectrogram(SMALL)(waveform), rtol=0, atol=1e-4)


def test_it_leaves_nothing_in_a_state_dict() -> None:
    mel = MelSpectrogram(SMALL)
    assert not mel.state_dict()
    assert not list(mel.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("name", MEL_PRESETS)
def test_cuda_equals_the_cpu(name: str) -> None:
    mel = MelSpectrogram(mel_preset(name))
    waveform = noise(2, 20000).float()
    on_cpu = mel(waveform)
    torch.testing.assert_close(mel.cuda()(waveform.cuda()).cpu(), on_cpu, rtol=0, atol=2e-6)


@pytest.mark.parametrize("config", [SMALL, CENTRED])
@pytest.mark.parametrize("n_samples", [20, 21, 33, 60])
def test_short_waveforms_are_reflected_as_often_as_it_takes(config: MelConfig, n_samples: int) -> None:
    waveform = noise(1, n_samples)
    total = config.n_fft if config.centring == "center" else config.n_fft - config.hop_length
    padded = np.pad(waveform.numpy(), ((0, 0), (total // 2, total - total // 2)), mode="reflect")
    windows = torch.from_numpy(padded).unfold(1, config.n_fft, config.hop_length)
    margin = (config.n_fft - config.win_length) // 2
    window = torch.zeros(config.n_fft, dtype=torch.float64)
    window[margin : margin + config.win_length] = torch.hann_window(config.win_length, dtype=torch.float64)
    spectrum = torch.fft.rfft(windows * window).abs().mT
    expected = (mel_filterbank(config) @ spectrum).clamp(min=config.floor).log()
    torch.testing.assert_close(MelSpectrogram(config)(waveform), expected)


@pytest.mark.parametrize(("config", "n_samples", "least"), [(SMALL, 19, 20), (CENTRED, 1, 2), (CENTRED, 0, 2)])
def test_too_few_samples_are_refused(config: MelConfig, n_samples: int, least: int) -> None:
    with pytest.raises(AudioError, match=rf"{n_samples} samples are too few.*at least {least}"):
        MelSpectrogram(config)(noise(1, n_samples))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"n_mels": -1}, "n_mels is -1"),
        ({"n_fft": 63}, "n_fft is 63; it must be even"),
        ({"win_length": 65}, "win_length 65"),
        ({"hop_length": 51}, "hop_length 51"),
        ({"f_min": -1.0}, "f_min -1.0"),
        ({"f_max": 4001.0}, r"f_max 4001.0.*4000.0 Hz"),
        ({"f_min": 4000.0}, "f_min 4000.0 and f_max 4000.0"),
        ({"f_max": math.nan}, "f_max is nan"),
        ({"power": 1.5}, "power is 1.5"),
        ({"magnitude_epsilon": -1e-9}, "magnitude_epsilon is -1e-09"),
        ({"floor": 0.0}, "floor is 0.0"),
        ({"scale": 0.0}, "scale is 0.0"),
        ({"offset": math.inf}, "offset is inf"),
        ({"clamp_min": 1.0, "clamp_max": 1.0}, "clamp_min 1.0 must be below clamp_max 1.0"),
    ],
)
def test_nonsense_is_refused_by_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SMALL, **changes)


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_band_amplitude_is_the_rms_of_white_noise(name: str) -> None:
    """Over 12 seeds the mean of all bands has a standard deviation of 0.3 %, and no band is more than 12 % off."""
    config = replace(mel_preset(name), clamp_min=None, clamp_max=None)
    rms = 0.02
    waveform = rms * torch.randn(1, 4 * config.sample_rate, generator=torch.Generator().manual_seed(1))
    amplitude = band_amplitude(MelSpectrogram(config)(waveform), config)
    mean = amplitude.pow(config.power).mean(2).pow(1 / config.power)
    assert mean.mean().item() == pytest.approx(rms, rel=0.02)
    torch.testing.assert_close(mean, torch.full_like(mean, rms), rtol=0.2, atol=0)


def test_a_band_without_a_bin_takes_its_neighbours_amplitude() -> None:
    config = replace(mel_preset("vocos-24k"), n_fft=256, win_length=256, hop_length=64)
    weights = mel_filterbank(config).sum(1)
    assert (weights == 0).any()
    assert (weights > 0).any()
    amplitude = band_amplitude(MelSpectrogram(config)(noise(1, 4000)), config)
    assert amplitude.isfinite().all()
    for band in (weights == 0).nonzero()[:, 0].tolist():
        below, above = weights[:band].nonzero()[:, 0], weights[band:].nonzero()[:, 0]
        neighbours = ([int(below[-1])] if len(below) else []) + ([band + int(above[0])] if len(above) else [])
        nearest = min(neighbours, key=lambda other: abs(other - band))
        assert torch.equal(amplitude[:, band], amplitude[:, nearest])


def test_band_centres_rise_from_f_min_to_f_max() -> None:
    config = mel_preset("wavegrad-24k")
    centres = band_centres(config)
    assert centres.shape == (config.n_mels,)
    assert (centres.diff() > 0).all()
    assert config.f_min < centres[0]
    assert centres[-1] < config.f_max
