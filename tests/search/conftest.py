"""A tiny model on disk."""

import pytest
import torch

from wavegrad.audio import mel_preset
from wavegrad.audio.prior import PriorConfig
from wavegrad.diffusion import NoiseSchedule
from wavegrad.network import WaveGrad, network_preset
from wavegrad.vocoder import Vocoder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model directory with random weights; its output is close to zero, so that sampling stays finite."""
    torch.manual_seed(0)
    network = WaveGrad(network_preset("tiny"))
    torch.nn.init.normal_(network.output_conv.weight, std=1e-3)
    directory = tmp_path_factory.mktemp("model") / "tiny"
    schedules = {"2": NoiseSchedule.log_snr(2, 20.0, -20.0)}
    Vocoder(mel_preset("wavegrad-24k"), network, PriorConfig("spectral"), schedules, "2").save_pretrained(directory)
    return str(directory)
