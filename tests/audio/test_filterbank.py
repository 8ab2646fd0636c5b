"""Mel scales and filters: closed forms and librosa."""

import librosa
import numpy as np
import pytest
import torch

from wavegrad.audio.filterbank import MelNorm, MelScale, band_edges, hz_to_mel, mel_to_hz, triangles

FREQUENCIES = np.concatenate([np.linspace(0, 2000, 81), np.geomspace(2000, 24000, 40)])


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_scales_equal_librosa(scale: MelScale) -> None:
    ours = [hz_to_mel(hz, scale) for hz in FREQUENCIES]
    np.testing.assert_allclose(ours, librosa.hz_to_mel(FREQUENCIES, htk=scale == "htk"), rtol=1e-12)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
def test_scales_can_be_undone(scale: MelScale) -> None:
    mels = torch.tensor([hz_to_mel(hz, scale) for hz in FREQUENCIES], dtype=torch.float64)
    np.testing.assert_allclose(mel_to_hz(mels, scale).numpy(), FREQUENCIES, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", ["none", "slaney"])
@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels", "f_min", "f_max"),
    [(24000, 2048, 128, 20.0, 12000.0), (16000, 512, 40, 80.0, 7600.0), (44100, 2048, 80, 0.0, 16000.0)],
)
def test_filters_equal_librosa(
    scale: MelScale, norm: MelNorm, sample_rate: int, n_fft: int, n_mels: int, f_min: float, f_max: float
) -> None:
    frequencies = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    ours = triangles(band_edges(n_mels, f_min, f_max, scale), frequencies, norm)
    theirs = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=f_min,
        fmax=f_max,
        htk=scale == "htk",
        norm=None if norm == "none" else norm,
        dtype=np.float64,
    )
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-12)


def test_slaney_bands_have_area_1() -> None:
    step_hz = 0.25
    frequencies = torch.arange(0, 12000, step_hz, dtype=torch.float64)
    areas = triangles(band_edges(40, 20.0, 12000.0, "slaney"), frequencies, "slaney").sum(1) * step_hz
    torch.testing.assert_close(areas, torch.ones_like(areas), rtol=0, atol=1e-4)
