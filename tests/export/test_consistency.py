"""Griffin-Lim as ONNX nodes against `MelConsistency`, from any waveform."""

from dataclasses import replace

import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.audio.test_consistency import CONFIGS, SMALL, mel_of, noisy, speech
from tests.export.conftest import run, session
from wavegrad.audio import MelConsistency
from wavegrad.audio.mel import MelConfig
from wavegrad.export.consistency import consistent
from wavegrad.export.graph import Graph

MORE = {
    "centred powers": replace(CONFIGS["powers"], centring="center", stft_normalized=True),
    "two hops": replace(SMALL, win_length=48),
    "a window as long as the transform": replace(SMALL, win_length=128, n_fft=128),
    "bins of an odd number of pairs": replace(SMALL, n_fft=126, reference_level=1.5),
}


def exported(config: MelConfig, n_iter: int) -> bytes:
    g = Graph()
    audio = consistent(g, "waveform", "mel", MelConsistency(config, n_iter))
    inputs = {"waveform": ("batch", "samples"), "mel": ("batch", config.n_mels, "frames")}
    return g.model(inputs, (audio, "audio", ("batch", "samples")), {})


def distance(
    model: onnxruntime.InferenceSession, config: MelConfig, n_iter: int, waveform: Tensor, mel: Tensor
) -> float:
    """From what `MelConsistency` makes of them in float64: of the item that is farthest, relative to it."""
    expected = MelConsistency(config, n_iter, torch.float64)(waveform.double(), mel.double())
    found = run(model, waveform=waveform, mel=mel)
    return ((found - expected).norm(dim=1) / expected.norm(dim=1).clamp(min=1e-9)).max().item()


@pytest.mark.parametrize("config", (CONFIGS | MORE).values(), ids=(CONFIGS | MORE).keys())
def test_every_convention(config: MelConfig) -> None:
    """From one frame on, where the ends are reflected many times, with the same file."""
    model = session(exported(config, 4))
    for n_items, n_frames in ((1, 1), (2, 2), (1, 3), (2, 30)):
        target = torch.cat([speech(config, n_frames, 0.5 + 0.3 * i) for i in range(n_items)])
        assert distance(model, config, 4, noisy(target), mel_of(target, config)) < 2e-5


def test_a_floor_and_a_ceiling_are_bounds() -> None:
    """Noise below the floor, noise above the ceiling, and a mel that is partly at both; silence stays silence."""
    config = replace(SMALL, clamp_max=-1.0, clamp_min=-9.0)
    model = session(exported(config, 3))
    noise = torch.randn(3, 20 * config.hop_length, generator=torch.Generator().manual_seed(0))
    target = noise * torch.stack([torch.full_like(noise[0], v) for v in (1e-6, 3.0)] + [torch.linspace(1e-6, 3, 480)])
    mel = mel_of(target, config)
    assert ((mel == -9).any(), (mel == -1).any(), (mel[2].abs() < 8.9).any()) == (True, True, True)
    assert distance(model, config, 3, target, mel) < 1e-5
    assert distance(model, config, 3, noisy(0.1 * target.flip(0)), mel) < 1e-5
    silence = torch.zeros(1, 480)
    assert torch.equal(run(model, waveform=silence, mel=mel[:1]), silence)


def test_tables_and_iterations_are_stored_once() -> None:
    assert len(exported(SMALL, 32)) - len(exported(SMALL, 1)) < 100
