"""The vocoder with the engine: the same audio for the same seed, whatever lies next to it."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import random_network
from tests.test_vocoder import MEL, noisy_speech, tiny_network
from wavegrad.audio.prior import PriorConfig
from wavegrad.errors import AudioError
from wavegrad.inference import MemoryWarning, in_smaller_batches
from wavegrad.network import network_preset
from wavegrad.vocoder import Vocoder

HOP = MEL.hop_length
KINDS = ("standard", "spectral")


def mels(*frames: int) -> list[Tensor]:
    front_end = Vocoder(MEL, tiny_network())
    return [front_end.mel(noisy_speech(n * HOP, seed)) for seed, n in enumerate(frames)]


def distance(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("name", ["tiny", "small", "base"])
def test_same_seed_same_audio_as_the_reference(name: str) -> None:
    """Six steps, an odd number of samples; float32 rounding is all that may differ."""
    network = random_network(replace(network_preset(name), mel_mean=-6.0, mel_std=2.0))
    vocoder = Vocoder(MEL, network, PriorConfig("spectral"))
    (mel,) = mels(1 if name == "base" else 3)
    reference, fast = (vocoder(mel, 6, 5, length=299, engine=engine) for engine in ("reference", "fast"))
    assert distance(fast, reference) < 1e-5
    assert not torch.equal(fast, reference)  # they are two ways of computing


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_different_lengths_is_each_alone(kind: str) -> None:
    vocoder = Vocoder(MEL, tiny_network(), PriorConfig(kind))
    items = mels(7, 1, 4)
    together = vocoder.batch(items, 6, 3)
    for i, (mel, audio) in enumerate(zip(items, together, strict=True)):
        assert audio.shape == (mel.shape[1] * HOP,)
        assert distance(audio, vocoder(mel, 6, 3 + i)) < 1e-5
        assert distance(audio, vocoder(mel, 6, 3 + i, engine="reference")) < 1e-5


def test_frames_of_a_padded_batch() -> None:
    vocoder = Vocoder(MEL, tiny_network(), PriorConfig("spectral"))
    long, short = mels(6, 2)
    padded = torch.stack((long, torch.cat((short, long[:, :4]), dim=1)))
    audio = vocoder(padded, 6, [1, 2], frames=[6, 2])
    assert distance(audio[0], vocoder(long, 6, 1)) < 1e-5
    assert distance(audio[1, : 2 * HOP], vocoder(short, 6, 2)) < 1e-5
    assert not audio[1, 2 * HOP :].any()
    for frames in ([6], [7, 2], [6, 0]):
        with pytest.raises(AudioError, match="frames"):
            vocoder(padded, frames=frames)


def test_smaller_batches_when_memory_ends() -> None:
    tried = []

    def run(items: list[int]) -> list[int]:
        tried.append(items)
        if len(items) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return [10 * i for i in items]

    with pytest.warns(MemoryWarning, match="not enough memory for 5 items at once: going on with 2"):
        assert in_smaller_batches(run, 5) == [0, 10, 20, 30, 40]
    assert tried == [[0, 1, 2, 3, 4], [0, 1], [2, 3], [4]]


def test_what_is_not_about_memory_and_a_single_item_are_not_tried_again() -> None:
    def fail(items: list[int]) -> list[int]:
        raise RuntimeError("broken")

    def too_large(items: list[int]) -> list[int]:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="broken"):
        in_smaller_batches(fail, 4)
    with pytest.raises(torch.OutOfMemoryError):
        in_smaller_batches(too_large, 1)
