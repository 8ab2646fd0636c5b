"""The vocoder with the engine: the same audio for the same seed, whatever lies next to it."""

import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import random_network
from tests.inference.test_graphs import ByHand
from tests.test_vocoder import MEL, noisy_speech, tiny_network
from wavegrad.audio.io import read_audio
from wavegrad.audio.prior import PriorConfig
from wavegrad.errors import AudioError
from wavegrad.evaluation.pesq_wb import pesq_wb
from wavegrad.inference import MemoryWarning, in_smaller_batches
from wavegrad.inference.graphs import GraphCache
from wavegrad.network import network_preset
from wavegrad.vocoder import Vocoder

SPEECH = Path(__file__).parents[2] / "samples" / "reference"
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


def test_bfloat16_sounds_like_float32() -> None:
    """The shipped network, a second of speech: to a listener's ear (PESQ-WB >= 4.4) nothing changes; 4.644 is its end.

    Griffin-Lim would mend what the rounding spoils.
    """
    vocoder = Vocoder.from_pretrained()
    speech = read_audio(SPEECH / "nathalie.flac", vocoder.sample_rate)[0][24000:48000]
    exact = vocoder.resynthesize(speech, 6, 1, griffin_lim=0)
    rounded = vocoder.resynthesize(speech, 6, 1, griffin_lim=0, precision="bfloat16")
    assert 1e-3 < distance(rounded, exact) < 0.05
    assert pesq_wb(exact, rounded, vocoder.sample_rate) >= 4.4


def test_the_shipped_model_in_float32() -> None:
    """Engine, reference and stream are the same audio. Its Griffin-Lim carries rounding further: with this seed, noise
    of 1e-7 in what it starts from becomes 4e-5 of what it ends with, with most others 4e-6."""
    vocoder = Vocoder.from_pretrained()
    speech = read_audio(SPEECH / "kathleen.flac", vocoder.sample_rate)[0][24000:30000]
    mel = vocoder.mel(speech)
    for griffin_lim, allowed in ((0, 1e-5), (32, 1e-4)):
        audio = vocoder(mel, 6, 1, griffin_lim=griffin_lim)
        assert distance(vocoder(mel, 6, 1, griffin_lim=griffin_lim, engine="reference"), audio) < allowed
        pieces = vocoder.stream(mel.split(7, dim=1), 6, 1, griffin_lim=griffin_lim)
        assert distance(torch.cat(list(pieces)), audio) < allowed
    assert torch.equal(vocoder(mel, 6, 1), audio)
    assert distance(vocoder(mel, 6, 1, griffin_lim=0), audio) > 0.1


def test_a_vocoder_with_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """All steps at once where that is possible, and the same audio; watched, they go one by one."""
    vocoder = Vocoder(MEL, tiny_network(), PriorConfig("spectral"))
    cache = GraphCache(4, ByHand())
    items = mels(7, 2)
    expected = vocoder.batch(items, 6, 3)
    monkeypatch.setitem(vocoder._engines, "float32", replace(vocoder._engine("float32"), graphs=cache))
    for found, plain in zip(vocoder.batch(items, 6, 3), expected, strict=True):
        assert distance(found, plain) < 1e-5
    assert len(cache.recorded) == 1
    assert distance(vocoder(items[0], 6, 3), expected[0]) < 1e-5
    assert len(cache.recorded) == 2
    watched: list[int] = []
    assert distance(vocoder(items[0], 6, 3, on_step=lambda n, y: watched.append(n)), expected[0]) < 1e-5
    assert watched == [6, 5, 4, 3, 2, 1]
    assert len(cache.recorded) == 3  # single calls


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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept() -> None:
    """Tensors beyond 32 MiB: every page of each is mapped anew, or it is not."""
    code = """if True:
        import resource, sys, torch
        from wavegrad.inference import keep_freed_memory
        if sys.argv[1] == "kept":
            keep_freed_memory()
        for n in range(30):
            if n == 5:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.ones(10_000_000)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    faults = {
        how: int(subprocess.run([sys.executable, "-c", code, how], capture_output=True, text=True, check=True).stdout)
        for how in ("usual", "kept")
    }
    assert faults["usual"] >= 25 * 40e6 / 2**21  # even with huge pages
    assert faults["kept"] < 0.2 * faults["usual"]  # it may have to look for a place once or twice
