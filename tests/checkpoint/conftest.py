"""A small model, and a place where it lies as files."""

from pathlib import Path

import pytest
import torch

from wavegrad.audio.presets import mel_preset
from wavegrad.audio.prior import PriorConfig
from wavegrad.checkpoint import Model, save_model
from wavegrad.diffusion import NoiseSchedule
from wavegrad.network import WaveGrad, network_preset


@pytest.fixture(scope="session")
def model() -> Model:
    mel = mel_preset("wavegrad-24k")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = WaveGrad(network_preset("tiny", mel.n_mels, hop_length=mel.hop_length))
    schedules = {"3": NoiseSchedule((1e-4, 0.1, 0.9), "3"), "fast.v2": NoiseSchedule((1e-3, 0.99), "fast", "by hand")}
    return Model(mel, network, PriorConfig("spectral", n_cepstra=20), schedules, "3", "# A card\n", 7)


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "model")
    return tmp_path / "model"
