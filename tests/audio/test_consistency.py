"""`MelConsistency`: its projections, its fixed points, and a plain reference of the whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wavegrad.audio import MEL_PRESETS, MelSpectrogram, mel_preset, read_audio
from wavegrad.audio.consistency import MOMENTUM, MelConsistency, edges
from wavegrad.audio.mel import MelConfig, band_values, mel_filterbank
from wavegrad.errors import ConfigError

SPEECH = Path(__file__).parents[2] / "samples" / "reference" / "kathleen.flac"
SMALL = MelConfig(sample_rate=2000, n_fft=128, win_length=96, hop_length=24, n_mels=9, f_min=30.0, f_max=900.0)
CONFIGS = {
    "same": SMALL,
    "center": replace(SMALL, centring="center"),
    "powers": replace(SMALL, power=2.0, log="db", scale=0.01, offset=0.5, floor=1e-12),
    "odd": replace(SMALL, win_length=91, hop_length=23),
    "normalized": replace(SMALL, stft_normalized=True, mel_scale="htk", mel_norm="none", log="log10"),
}


def speech(config: MelConfig, n_frames: int, start_s: float = 0.5) -> Tensor:
    waveform, rate = read_audio(SPEECH, config.sample_rate)
    return waveform[None, round(start_s * rate) :][:, : n_frames * config.hop_length]


def mel_of(waveform: Tensor, config: MelConfig) -> Tensor:
    """As many frames as hops."""
    return MelSpectrogram(config)(waveform)[..., : waveform.shape[1] // config.hop_length]


def noisy(waveform: Tensor) -> Tensor:
    noise = torch.randn(waveform.shape, generator=torch.Generator().manual_seed(0))
    return waveform + 0.3 * waveform.std() * noise


@pytest.mark.parametrize("name", CONFIGS)
def test_the_waveform_of_the_spectra_is_the_waveform(name: str) -> None:
    config = CONFIGS[name]
    consistency, waveform = MelConsistency(config, 1), speech(config, 40)
    spectra = consistency.spectra(consistency.cut(waveform)[:, :40])
    joined = consistency.join(consistency.frames(spectra), consistency.energy(40), waveform.shape[1])
    assert torch.allclose(joined, waveform, atol=1e-6)


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_a_waveform_that_has_the_mel_stays_as_it_is(name: str) -> None:
    config = mel_preset(name)
    waveform = speech(config, 30)
    assert torch.allclose(MelConsistency(config, 5)(waveform, mel_of(waveform, config)), waveform, atol=1e-5)


@pytest.mark.parametrize("name", MEL_PRESETS)
def test_the_mel_comes_near(name: str) -> None:
    """In decibels of the band values; half of the distance is left after 4 iterations, an eighth after 60, or less."""
    config = mel_preset(name)
    waveform = speech(config, 40)
    mel = mel_of(waveform, config)

    def distance(made: Tensor) -> float:
        bands = [band_values(m, config).clamp(min=1e-4).log10() for m in (mel, mel_of(made, config))]
        return (20 / config.power) * (bands[0] - bands[1]).abs().mean().item()

    start = noisy(waveform)
    left = [distance(MelConsistency(config, n)(start, mel)) for n in (0, 4, 60)]
    assert left[0] > 5
    assert left[1] < left[0] / 2
    assert left[2] < left[0] / 8


@pytest.mark.parametrize("name", ["same", "center", "powers", "odd"])
def test_against_a_plain_reference(name: str) -> None:
    config = CONFIGS[name]
    waveform = speech(config, 12)
    mel = mel_of(waveform, config)
    found = MelConsistency(config, 4, torch.float64)(noisy(waveform).double(), mel.double())
    expected = reference(noisy(waveform)[0].double().numpy(), mel[0].double().numpy(), config, 4)
    assert np.abs(found[0].numpy() - expected).max() < 1e-9


def reference(waveform: np.ndarray, mel: np.ndarray, config: MelConfig, n_iter: int) -> np.ndarray:
    """Frame by frame, bin by bin, in float64."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(config.win_length) / config.win_length)
    total = config.win_length if config.centring == "center" else config.win_length - config.hop_length
    left = {"same": total // 2, "center": config.win_length // 2}[config.centring]
    if config.centring == "same" and (config.n_fft - config.win_length) % 2:  # the middle of an odd gap
        left = (config.n_fft - config.hop_length) // 2 - (config.n_fft - config.win_length) // 2
    weights = mel_filterbank(config).numpy()
    wanted = band_values(torch.from_numpy(mel)[None], config)[0].numpy()
    previous = None
    for _ in range(n_iter):
        padded = np.pad(waveform, (left, config.win_length), mode="reflect")
        present = np.stack(
            [
                np.fft.rfft(window * padded[k * config.hop_length :][: config.win_length], config.n_fft)
                for k in range(mel.shape[1])
            ],
            axis=1,
        )
        previous = present if previous is None else previous
        further = present + MOMENTUM * (present - previous)
        gains = np.ones(present.shape)
        for k in range(present.shape[1]):
            x = np.abs(present[:, k]) ** config.power
            ratios = wanted[:, k] / (weights @ x)
            for i in range(len(gains)):
                if weights[:, i].any():
                    gains[i, k] = (weights[:, i] @ ratios / weights[:, i].sum()) ** (1 / config.power)
        projected = gains * np.abs(present) * np.exp(1j * np.angle(further))
        top, bottom = np.zeros(len(padded)), np.zeros(len(padded))
        for k in range(mel.shape[1]):
            under = slice(k * config.hop_length, k * config.hop_length + config.win_length)
            top[under] += window * np.fft.irfft(projected[:, k], config.n_fft)[: config.win_length]
            bottom[under] += window**2
        waveform = (top / np.where(bottom > 0, bottom, 1))[left : left + len(waveform)]
        previous = present
    return waveform


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_no_update_is_farther_in_kullback_leibler_divergence(seed: int) -> None:
    """Lee and Seung 2001, theorem 2; magnitudes and mels that have nothing to do with each other."""
    generator = torch.Generator().manual_seed(seed)
    consistency = MelConsistency(SMALL, 1, torch.float64)
    x = torch.rand(1, 3, 65, generator=generator).double() + 0.01
    bands = torch.rand(1, 3, 9, generator=generator).double() + 0.01
    weights = consistency.filterbank
    updated = x * consistency.gains(x, (bands, bands))

    def divergence(x: Tensor) -> Tensor:
        made = x @ weights.mT
        return (bands * (bands / made).log() - bands + made).sum()

    assert divergence(updated) <= divergence(x) * (1 + 1e-9)


def test_bins_in_no_band_keep_their_magnitudes() -> None:
    consistency = MelConsistency(SMALL, 1)
    x, bands = torch.rand(1, 3, 65) + 0.1, torch.rand(1, 3, 9) + 0.1
    gains = consistency.gains(x, (bands, bands))
    unheard = mel_filterbank(SMALL).sum(0) == 0
    assert unheard.any()
    assert (gains[..., unheard] == 1).all()
    assert (gains[..., ~unheard] != 1).all()


def test_a_floor_and_a_ceiling_are_bounds() -> None:
    """What is quieter than the floor stays so, what is louder than the ceiling too; silence stays silence."""
    config = replace(SMALL, clamp_max=-2.0)
    for waveform in (1e-7 * noisy(speech(config, 20)), torch.zeros(1, 480)):
        mel = mel_of(waveform, config)
        assert (mel == config.minimum).all()
        assert torch.allclose(MelConsistency(config, 3)(waveform, mel), waveform, atol=1e-12)
    loud = torch.randn(1, 480, generator=torch.Generator().manual_seed(2))
    mel = mel_of(loud, config)
    assert (mel == -2.0).all()
    assert torch.allclose(MelConsistency(config, 3)(loud, mel), loud, atol=1e-5)


def test_items_of_a_batch_do_not_meet() -> None:
    waveform = torch.cat((speech(SMALL, 20), speech(SMALL, 20, 1.2)))
    mel = mel_of(waveform, SMALL)
    together = MelConsistency(SMALL, 4)(noisy(waveform), mel)
    for i in range(2):
        alone = MelConsistency(SMALL, 4)(noisy(waveform)[i : i + 1], mel[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-6)


@pytest.mark.parametrize("name", CONFIGS)
def test_items_of_different_lengths_are_what_they_would_be_alone(name: str) -> None:
    config, lengths = CONFIGS[name], [1, 20, 13, 2]  # the shortest are reflected several times
    hop, consistency = config.hop_length, MelConsistency(config, 4)
    waveform = torch.cat([noisy(speech(config, 20, 0.5 + i / 2)) for i in range(len(lengths))])
    mel = torch.cat([mel_of(speech(config, 20, 0.6 + i / 2), config) for i in range(len(lengths))])
    together = consistency(waveform, mel, lengths)
    elsewhere = torch.arange(20) >= torch.tensor(lengths)[:, None]
    other = waveform + elsewhere.repeat_interleave(hop, dim=1), mel + elsewhere[:, None]
    assert torch.equal(consistency(*other, lengths), together)
    for i, n in enumerate(lengths):
        alone = consistency(waveform[i : i + 1, : n * hop], mel[i : i + 1, :, :n])
        assert torch.allclose(together[i, : n * hop], alone[0], atol=2e-6)
        assert (together[i, n * hop :] == 0).all()


@pytest.mark.parametrize("n_frames", [1, 2])
def test_the_shortest_waveforms(n_frames: int) -> None:
    waveform = speech(SMALL, n_frames)
    assert torch.allclose(MelConsistency(SMALL, 2)(waveform, mel_of(waveform, SMALL)), waveform, atol=1e-5)


def test_the_windows_stand_where_the_front_end_has_them() -> None:
    for config in (*CONFIGS.values(), *(preset.config for preset in MEL_PRESETS.values())):
        waveform = speech(config, 20)
        spectra = MelConsistency(config, 1).spectra(MelConsistency(config, 1).cut(waveform)[:, :20]).abs().double()
        spectra = spectra / torch.hann_window(config.win_length).norm() if config.stft_normalized else spectra
        heard = spectra**config.power @ mel_filterbank(config).mT
        expected = band_values(mel_of(waveform, config), config).mT
        clear = expected > 10 * band_values(torch.full((1, 1, 1), config.minimum), config)
        inner = slice(None) if config.pad_mode == "reflect" else slice(3, -3)
        assert torch.allclose(heard[:, inner][clear[:, inner]], expected.double()[:, inner][clear[:, inner]], rtol=1e-3)


def test_edges_are_those_of_the_windows() -> None:
    assert edges(mel_preset("wavegrad-24k")) == (450, 450)
    assert edges(CONFIGS["center"]) == (48, 48)


def test_what_cannot_be() -> None:
    with pytest.raises(ConfigError, match=r"griffin_lim is -1; it must be 0"):
        MelConsistency(SMALL, -1)
    with pytest.raises(ConfigError, match="windows of two hops or more"):
        MelConsistency(replace(SMALL, win_length=40), 1)
    MelConsistency(replace(SMALL, win_length=40), 0)


@pytest.mark.gpu
def test_a_gpu_makes_the_same() -> None:
    target = speech(SMALL, 40)
    mel, waveform = mel_of(target, SMALL), noisy(target)
    here = MelConsistency(SMALL, 4)(waveform, mel)
    there = MelConsistency(SMALL, 4).cuda()(waveform.cuda(), mel.cuda())
    assert torch.allclose(there.cpu(), here, atol=1e-4)
