"""Figures against closed forms and independent implementations."""

import math
from pathlib import Path

import librosa
import numpy as np
import pesq
import pystoi
import pytest
import soundfile
import torch

from wavegrad.audio import MelSpectrogram, mel_preset
from wavegrad.audio.mel import band_values
from wavegrad.errors import AudioError
from wavegrad.evaluation import (
    griffin_lim,
    log_mel_distance,
    pesq_wb,
    silence_difference,
    stoi,
)

SPEECH = Path(__file__).parents[2] / "samples" / "reference"


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.from_numpy(soundfile.read(SPEECH / "kathleen.flac", dtype="float32")[0])[: 24000 * 2]


@pytest.fixture(scope="module")
def noisy(speech: torch.Tensor) -> torch.Tensor:
    return speech + 0.003 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))


def test_a_gain_is_a_log_mel_distance_of_itself(speech):
    """6 dB louder is 6 dB away in every band above the floor."""
    assert log_mel_distance(speech, speech, 24000) == 0
    assert log_mel_distance(20 * speech, 40 * speech, 24000) == pytest.approx(20 * math.log10(2), abs=0.02)


def test_log_mel_distance_is_that_of_librosa(speech, noisy):
    def mel(x):
        padded = np.pad(x.numpy(), 874, mode="reflect")
        stft = np.abs(librosa.stft(padded, n_fft=2048, hop_length=300, win_length=1200, center=False))
        bands = librosa.filters.mel(sr=24000, n_fft=2048, n_mels=128, fmin=20, fmax=12000) @ stft
        return 20 * np.log10(np.maximum(bands, 1e-5))

    expected = np.abs(mel(speech) - mel(noisy)).mean()
    assert log_mel_distance(speech, noisy, 24000) == pytest.approx(expected, rel=1e-4)


def test_log_mel_distance_hardly_depends_on_the_rate(speech, noisy):
    low = [torch.from_numpy(librosa.resample(x.numpy(), orig_sr=24000, target_sr=48000)) for x in (speech, noisy)]
    at_24k = log_mel_distance(speech, noisy, 24000)
    assert 0.3 * at_24k < log_mel_distance(*low, 48000) < 1.2 * at_24k


def test_pesq_and_stoi_are_those_of_their_packages(speech, noisy):
    low = [librosa.resample(x.numpy(), orig_sr=24000, target_sr=16000, res_type="soxr_vhq") for x in (speech, noisy)]
    assert pesq_wb(speech, noisy, 24000) == pytest.approx(pesq.pesq(16000, *low, "wb"), abs=1e-3)
    assert stoi(speech, noisy, 24000) == pytest.approx(pystoi.stoi(speech.numpy(), noisy.numpy(), 24000), abs=5e-3)
    assert stoi(speech, speech, 24000) == pytest.approx(1, abs=1e-6)
    assert pesq_wb(speech, speech, 24000) == pytest.approx(4.644, abs=1e-3)


def test_hiss_is_measured_where_the_reference_is_silent():
    """Half a second at 1e-3, half at 0.5: noise of the same power doubles the energy of the silence."""
    generator = torch.Generator().manual_seed(0)
    reference = torch.randn(24000, generator=generator)
    reference[:12000] *= 1e-3
    reference[12000:] *= 0.5
    generated = reference + 1e-3 * torch.randn(24000, generator=generator)
    assert silence_difference(reference, generated, 24000) == pytest.approx(10 * math.log10(2), abs=0.15)
    assert silence_difference(reference, reference, 24000) == 0
    assert math.isnan(silence_difference(torch.ones(24000), torch.ones(24000), 24000))


def test_silence_begins_40_db_below_the_loudest_frame():
    """Parts at 0, -37 and -43 dB: only the last one counts."""
    for changed, expected in ((1, 0.0), (2, 20 * math.log10(2))):
        parts = [level * torch.ones(6000) for level in (1.0, 10 ** (-37 / 20), 10 ** (-43 / 20))]
        reference = torch.cat(parts)
        parts[changed] = 2 * parts[changed]
        assert silence_difference(reference, torch.cat(parts), 24000) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("preset", ["wavegrad-24k", "hifigan-22k", "lmnt-22k", "speecht5-16k"])
def test_griffin_lim_finds_the_mel_again(speech, preset):
    """Frames x hop samples whose bands, before the logarithm, are those that were asked for to 20 % after 16 rounds."""
    config = mel_preset(preset)
    rate = config.sample_rate
    waveform = torch.from_numpy(librosa.resample(speech.numpy(), orig_sr=24000, target_sr=rate))
    mel = MelSpectrogram(config)(waveform[None])
    generated = griffin_lim(mel[0], config, n_iter=16)
    assert len(generated) == mel.shape[2] * config.hop_length
    again = MelSpectrogram(config)(generated[None])[:, :, : mel.shape[2]]
    loud, other = band_values(mel, config), band_values(again, config)
    assert (loud - other).abs().sum() < 0.2 * loud.sum()


def test_lengths_that_do_not_belong_together_are_refused(speech):
    for metric in (log_mel_distance, pesq_wb, stoi, silence_difference):
        with pytest.raises(AudioError, match=f"{len(speech) - 2400} samples were generated for {len(speech)}"):
            metric(speech, speech[2400:], 24000)
