"""Exported models against the vocoder they come from, in onnxruntime."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from tests.export.conftest import run, session
from tests.inference.conftest import random_network
from wavegrad.audio import MEL_PRESETS, mel_preset, read_audio
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.prior import PriorConfig, prior_gains
from wavegrad.diffusion import NoiseSchedule, SeededNoise
from wavegrad.errors import ConfigError
from wavegrad.export.onnx import network_step, synthesis
from wavegrad.network import network_preset
from wavegrad.vocoder import Vocoder

SPEECH = Path(__file__).parents[2] / "samples" / "reference" / "kathleen.flac"
MEL = mel_preset("wavegrad-24k")
LAYOUTS = {
    "paper": {},
    "two blocks": {"blocks_per_level": 2},
    "nearest": {"downsampling": "nearest"},
    "linear": {"downsampling": "linear", "upsampling": "linear"},
    "normalised mel": {"mel_mean": -5.0, "mel_std": 2.5},
    "other factors": {"factors": (3, 2, 2, 5, 5)},
    "learned variance": {"learned_variance": True},
    "index of the step": {"step_levels": (0.99, 0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.01)},
}


def vocoder(prior: str = "standard", mel: MelConfig = MEL, griffin_lim: int = 0, **fields: object) -> Vocoder:
    config = network_preset("tiny", mel.n_mels, hop_length=mel.hop_length)
    network = random_network(replace(config, **{"mel_mean": -6.0, "mel_std": 2.0, **fields}))
    return Vocoder(mel, network, PriorConfig(prior), griffin_lim=griffin_lim)


def speech_like_mel(made_for: Vocoder, n_items: int, n_frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(n_frames)
    noise = torch.randn(n_items, n_frames * made_for.hop_length, generator=generator)
    return made_for.mel(0.1 * noise * torch.linspace(0, 9, noise.shape[1]).sin().abs())


def seeded(n_steps: int, seeds: Sequence[int], n_samples: int) -> Tensor:
    """The noise of the vocoder, as the file takes it."""
    return torch.stack([SeededNoise(seeds)(n, n_samples) for n in range(n_steps, 0, -1)])


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
    model = session(synthesis(made_for, 3))
    for n_items, n_frames in ((1, 1), (3, 2), (2, 4)):
        mel = speech_like_mel(made_for, n_items, n_frames)
        noise = seeded(3, range(n_items), n_frames * made_for.hop_length)
        expected = made_for(mel, 3, 0)
        found = run(model, mel=mel, noise=noise)
        assert (found - expected).norm() / expected.norm() < 1e-4


def whole(
    made_for: Vocoder, mel: Tensor, schedule: NoiseSchedule | str | int | None
) -> tuple[onnxruntime.InferenceSession, Tensor, Tensor]:
    """The exported sampler, its audio, and the vocoder's."""
    n_steps = made_for.find_schedule(schedule).n_steps
    noise = seeded(n_steps, range(len(mel)), mel.shape[2] * made_for.hop_length)
    model = session(synthesis(made_for, schedule))
    return model, run(model, mel=mel, noise=noise), made_for(mel, schedule, 0)


@pytest.mark.parametrize(
    ("name", "n_steps"),
    [
        *((None, n) for n in (2, 5, 6)),
        ("ancestral", 2),
        ("ancestral:variance=beta", 2),
        ("ddim", 2),
        ("ddim:eta=0.5", 2),
        ("dpm++1s", 2),
        ("dpm++2m", 6),
    ],
)
def test_every_sampler_that_can_be_written(name: str | None, n_steps: int) -> None:
    """With prior and Griffin-Lim; of the noise, a deterministic sampler reads y_N alone."""
    made_for = vocoder("spectral", griffin_lim=2)
    mel = speech_like_mel(made_for, 2, 5)
    model = session(synthesis(made_for, n_steps, sampler=name))
    noise = seeded(n_steps, [4, 9], 5 * 300)
    expected = made_for(mel, n_steps, seed=[4, 9], sampler=name)
    used = model.get_modelmeta().custom_metadata_map["sampler"]
    assert used == (name or ("dpm++2m" if n_steps < 6 else "ancestral"))
    if used in ("ddim", "dpm++1s", "dpm++2m"):
        noise[1:] = math.nan
    found = run(model, mel=mel, noise=noise)
    assert ((found - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-4


def test_the_index_of_a_step() -> None:
    """A network that is told which step of its training schedule it is at."""
    made_for = vocoder(step_levels=tuple(NoiseSchedule.log_snr(12).noise_levels[1:].tolist()))
    mel = speech_like_mel(made_for, 2, 3)
    _, found, expected = whole(made_for, mel, 4)
    assert (found - expected).norm() / expected.norm() < 1e-4


@pytest.mark.parametrize(
    ("name", "message"),
    [("heun", r"^Heun\(.*cannot be streamed or exported"), ("hein", "unknown sampler 'hein'")],
)
def test_a_sampler_that_cannot_be_written(name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        synthesis(vocoder(), 3, sampler=name)


def test_silence_and_a_full_tone_each_for_itself() -> None:
    """Gains at their floor, and above 1; the error is relative to each item, lest the loud hide the quiet."""
    made_for = replace(vocoder("spectral"), prior=PriorConfig("spectral", floor=1e-3))
    noise = torch.randn(5 * 300, generator=torch.Generator().manual_seed(0))
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(5 * 300) / 24000)
    mel = made_for.mel(torch.stack([1e-6 * noise, tone, 0.1 * noise]))
    gains = prior_gains(mel, made_for.mel_config, made_for.prior)
    assert gains is not None
    assert gains.min() >= 1e-3 * (1 - 1e-6)
    assert gains[0].max() < 1.1e-3
    assert gains[1].max() > 2
    _, found, expected = whole(made_for, mel, 2)
    assert ((found - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-4


@pytest.mark.parametrize(
    "schedule", [None, "one", NoiseSchedule.log_snr(2, 30.0, -15.0)], ids=["default", "name", "own"]
)
def test_the_schedule_that_is_asked_for(schedule: NoiseSchedule | str | int | None) -> None:
    known = {"one": NoiseSchedule.log_snr(1, 20.0, -20.0), "two": NoiseSchedule.log_snr(2, 25.0, -15.0)}
    made_for = replace(vocoder(), schedules=known, default_schedule="two")
    mel = speech_like_mel(made_for, 2, 3)
    chosen = made_for.find_schedule(schedule)
    model, found, expected = whole(made_for, mel, schedule)
    assert (found - expected).norm() / expected.norm() < 1e-4
    about = model.get_modelmeta().custom_metadata_map
    assert (json.loads(about["schedule"]), about["n_steps"]) == (chosen.to_dict(), str(chosen.n_steps))


@pytest.mark.parametrize("preset", MEL_PRESETS)
def test_griffin_lim_of_every_mel_convention(preset: str) -> None:
    """From one frame on, which is less than what is reflected at the ends."""
    made_for = vocoder("spectral", mel_preset(preset), griffin_lim=3)
    model = session(synthesis(made_for, 1))
    for n_items, n_frames in ((1, 1), (2, 2), (1, 9)):
        mel = speech_like_mel(made_for, n_items, n_frames)[..., :n_frames]
        noise = SeededNoise(range(n_items))(1, n_frames * made_for.hop_length)[None]
        expected = made_for(mel, 1, 0)
        found = run(model, mel=mel, noise=noise)
        assert (found - expected).norm() / expected.norm() < 1e-4


@pytest.mark.parametrize(("schedule", "cuts"), [(None, ((1, [3]), (20, [7, 2]))), (3, ((9, [7, 2]),))])
def test_the_shipped_model_as_it_is(schedule: int | None, cuts: Sequence[tuple[int, list[int]]]) -> None:
    """Its Griffin-Lim, and its default schedule or the default sampler of few steps; the error is relative to each
    item, after 32 iterations 2e-5 when measured."""
    shipped = Vocoder.from_pretrained()
    model = session(synthesis(shipped, schedule))
    waveform, _ = read_audio(SPEECH, shipped.sample_rate)
    n_steps = shipped.find_schedule(schedule).n_steps
    for n_frames, seeds in cuts:
        n_samples = n_frames * shipped.hop_length
        mel = shipped.mel(waveform[30000 : 30000 + len(seeds) * n_samples].reshape(len(seeds), -1))
        noise = seeded(n_steps, seeds, n_samples)
        expected = shipped(mel, schedule, seeds)
        found = run(model, mel=mel, noise=noise)
        assert ((found - expected).norm(dim=1) / expected.norm(dim=1)).max() < 1e-4


def test_the_iterations_that_are_asked_for() -> None:
    """None is the vocoder's own number, and 0 the network alone: the file of a vocoder that has no iterations."""
    alone, refined = vocoder(), vocoder(griffin_lim=2)
    assert synthesis(refined, 1, griffin_lim=0) == synthesis(alone, 1)
    assert synthesis(refined, 1) == synthesis(alone, 1, griffin_lim=2)
    for n_iter in (0, 2):
        about = session(synthesis(alone, 1, n_iter)).get_modelmeta().custom_metadata_map
        assert about["griffin_lim"] == str(n_iter)
    with pytest.raises(ConfigError, match=r"griffin_lim is -1; it must be 0"):
        synthesis(alone, 1, griffin_lim=-1)


def test_no_iterations_are_no_nodes() -> None:
    def kinds(n_iter: int) -> list[str]:
        return [node.op_type for node in onnx.load_from_string(synthesis(vocoder(), 1, n_iter)).graph.node]

    alone, refined = kinds(0), kinds(2)
    assert alone[:-1] == refined[: len(alone) - 1]  # the last one names the output
    assert "Loop" in refined
    assert "Loop" not in alone


@pytest.mark.parametrize("preset", ["wavegrad-24k", "hifigan-22k"])
@pytest.mark.parametrize("write", [synthesis, network_step], ids=["synthesis", "step"])
def test_what_the_file_says_about_itself(write: Callable[..., bytes], preset: str) -> None:
    made_for = vocoder(mel=mel_preset(preset))
    about = session(write(made_for, *((1,) if write is synthesis else ()))).get_modelmeta().custom_metadata_map
    assert about["format"] == "wavegrad-onnx-1"
    assert int(about["sample_rate"]) == made_for.sample_rate
    assert int(about["hop_length"]) == made_for.hop_length
    assert MelConfig(**json.loads(about["mel"])) == made_for.mel_config


def test_inputs_and_outputs_are_those_of_the_docstrings() -> None:
    """Lengths with the same name are equal; of batch, frames and samples none is fixed."""

    def ends(model: onnxruntime.InferenceSession) -> dict[str, list[int | str]]:
        return {end.name: end.shape for end in (*model.get_inputs(), *model.get_outputs())}

    mel = ["batch", 128, "frames"]
    assert ends(session(network_step(vocoder()))) == {
        "y": ["batch", "samples"],
        "mel": mel,
        "noise_level": ["batch"],
        "noise": ["batch", "samples"],
    }
    assert ends(session(synthesis(vocoder(), 1))) == {
        "mel": mel,
        "noise": [1, "batch", "samples"],
        "audio": ["batch", "samples"],
    }


def test_weights_are_stored_once() -> None:
    made_for = vocoder()
    one, three = len(synthesis(made_for, 1)), len(synthesis(made_for, 3))
    weights = 4 * sum(p.numel() for p in made_for.network.parameters())
    assert one > weights
    assert three - one < 2 * 60_000  # nodes only
