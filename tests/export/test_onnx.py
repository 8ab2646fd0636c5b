"""Exported models against the vocoder they come from, in onnxruntime."""

from dataclasses import replace

import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.inference.conftest import random_network
from wavegrad.audio import mel_preset
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.prior import PriorConfig
from wavegrad.diffusion import SeededNoise
from wavegrad.export.onnx import network_step, sampler
from wavegrad.network import network_preset
from wavegrad.vocoder import Vocoder

MEL = mel_preset("wavegrad-24k")
LAYOUTS = {
    "paper": {},
    "two blocks": {"blocks_per_level": 2},
    "nearest": {"downsampling": "nearest"},
    "linear": {"downsampling": "linear", "upsampling": "linear"},
    "normalised mel": {"mel_mean": -5.0, "mel_std": 2.5},
    "other factors": {"factors": (3, 2, 2, 5, 5)},
}


def vocoder(prior: str = "standard", mel: MelConfig = MEL, **fields: object) -> Vocoder:
    config = network_preset("tiny", mel.n_mels, hop_length=mel.hop_length)
    network = random_network(replace(config, **{"mel_mean": -6.0, "mel_std": 2.0, **fields}))
    return Vocoder(mel, network, PriorConfig(prior))


def session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(model: onnxruntime.InferenceSession, **inputs: Tensor) -> Tensor:
    return torch.from_numpy(model.run(None, {name: value.numpy() for name, value in inputs.items()})[0])


def speech_like_mel(made_for: Vocoder, n_items: int, n_frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(n_frames)
    noise = torch.randn(n_items, n_frames * made_for.hop_length, generator=generator)
    return made_for.mel(0.1 * noise * torch.linspace(0, 9, noise.shape[1]).sin().abs())


@pytest.mark.parametrize("fields", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_a_network_call(fields: dict[str, object]) -> None:
    made_for = vocoder(**fields)
    model = session(network_step(made_for))
    for n_items, n_frames in ((1, 1), (3, 2), (2, 7)):
        mel = speech_like_mel(made_for, n_items, n_frames)
        y = torch.randn(n_items, n_frames * 300, generator=torch.Generator().manual_seed(0))
        level = torch.linspace(0.1, 0.999, n_items)
        expected = made_for.network(y, mel, level)
        found = run(model, y=y, mel=mel, noise_level=level)
        assert (found - expected).norm() / expected.norm() < 1e-4


@pytest.mark.parametrize(
    ("prior", "preset"),
    [
        ("standard", "wavegrad-24k"),
        ("spectral", "wavegrad-24k"),
        ("energy", "hifigan-22k"),
        ("spectral", "hifigan-22k"),
    ],
)
def test_the_whole_sampler_makes_the_vocoders_audio(prior: str, preset: str) -> None:
    made_for = vocoder(prior, mel_preset(preset))
    model = session(sampler(made_for, 3))
    for n_items, n_frames in ((1, 1), (3, 2), (2, 4)):
        mel = speech_like_mel(made_for, n_items, n_frames)
        seeded = SeededNoise(range(n_items))
        noise = torch.stack([seeded(n, n_frames * made_for.hop_length) for n in range(3, 0, -1)])
        expected = made_for(mel, 3, 0, sampler="ancestral")
        found = run(model, mel=mel, noise=noise)
        assert (found - expected).norm() / expected.norm() < 1e-4


def test_what_the_file_says_about_itself() -> None:
    about = session(sampler(vocoder("spectral"), 3)).get_modelmeta().custom_metadata_map
    assert (about["sample_rate"], about["hop_length"], about["n_steps"]) == ("24000", "300", "3")


def test_weights_are_stored_once() -> None:
    made_for = vocoder()
    one, three = len(sampler(made_for, 1)), len(sampler(made_for, 3))
    weights = 4 * sum(p.numel() for p in made_for.network.parameters())
    assert one > weights
    assert three - one < 2 * 60_000  # nodes only
