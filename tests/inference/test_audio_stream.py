"""`Vocoder.open_stream`: chunks that are pushed, and what a user may do wrong with them."""

import asyncio
import weakref
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.inference.test_stream_vocoder import MEL, N_FRAMES, VOCODER, WHOLE, assert_equal, mel_of
from wavegrad.errors import AudioError, ConfigError
from wavegrad.streaming import VocoderStream
from wavegrad.vocoder.audio_stream import check_chunk, check_chunks

CHUNKS = mel_of(N_FRAMES)[0].split([5, 0, 1, 20, 14], dim=1)


def test_what_is_pushed_becomes_what_is_streamed() -> None:
    audio = VOCODER.open_stream(2, 5)
    pieces = [audio.push(chunk) for chunk in CHUNKS] + [audio.finish()]
    assert_equal(torch.cat(pieces), WHOLE)
    streamed = list(VOCODER.stream(iter(CHUNKS), 2, 5))
    assert all(torch.equal(a, b) for a, b in zip([p for p in pieces if len(p)], streamed, strict=True))


@pytest.mark.parametrize("pipeline_frames", [None, 4])
def test_chunks_in_the_same_memory(pipeline_frames: int | None) -> None:
    """Frames that a pipeline had yet to take were those of the chunk after them."""
    audio, pieces, memory = VOCODER.open_stream(2, 5, pipeline_frames=pipeline_frames), [], torch.empty(4, 2)
    for chunk in mel_of(N_FRAMES)[0].split(2, dim=1):
        pieces.append(audio.push(memory.copy_(chunk)))
    assert_equal(torch.cat([*pieces, audio.finish()]), WHOLE)


def test_an_asynchronous_loop() -> None:
    async def mels() -> AsyncIterator[Tensor]:
        for chunk in CHUNKS:
            await asyncio.sleep(0)
            yield chunk

    async def speak() -> Tensor:
        audio = VOCODER.open_stream(2, 5)
        pieces = [await asyncio.to_thread(audio.push, chunk) async for chunk in mels()]
        return torch.cat([*pieces, await asyncio.to_thread(audio.finish)])

    assert_equal(asyncio.run(speak()), WHOLE)


def test_streams_in_threads_are_those_alone() -> None:
    def speak(seed: int) -> Tensor:
        return torch.cat(list(VOCODER.stream(mel_of(20)[0].split(6, dim=1), 2, seed)))

    alone = [speak(seed) for seed in range(2)]
    with ThreadPoolExecutor(2) as threads:
        assert all(torch.equal(a, b) for a, b in zip(threads.map(speak, range(2)), alone, strict=True))


def test_a_refused_chunk_changes_nothing() -> None:
    audio, pieces = VOCODER.open_stream(2, 5), []
    for chunk in CHUNKS:
        for bad in (chunk[:3], chunk[None], chunk[None].expand(2, -1, -1), mel_of(2)[0] * float("inf")):
            if pieces:
                with pytest.raises(AudioError):
                    audio.push(bad)
        pieces.append(audio.push(chunk))
    assert_equal(torch.cat([*pieces, audio.finish()]), WHOLE)


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (np.zeros((4, 3)), r"a chunk is a ndarray; pass tensors: torch.from_numpy\(chunk\)"),
        ([[0.0]], "a chunk is a list; pass tensors$"),
        (torch.zeros(4), r"single frame is one of shape \(4, 1\)"),
        (torch.zeros(0, 4, 3), "without a mel"),
        (torch.zeros(4, 0, device="meta"), "on the device 'meta', without values"),
        (torch.zeros(1, 1, 4, 3), "2 axes|`n_mels frames`"),
        (torch.zeros(4, 3, dtype=torch.int32), "of floats"),
        (torch.zeros(3, 4), "transposed"),
        (torch.zeros(3, 0), "reads 4 bands"),
    ],
    ids=str,
)
def test_one_line_for_what_is_no_chunk(chunk: object, message: str) -> None:
    with pytest.raises(AudioError, match=message) as caught:
        check_chunk(chunk, MEL)
    assert "\n" not in str(caught.value)


def test_one_line_for_what_is_no_series_of_chunks() -> None:
    """A batch of mels instead of chunks was taken for one mel after the other."""

    async def mels() -> AsyncIterator[Tensor]:
        yield CHUNKS[0]

    for chunks, message in ((mel_of(3, 2), "single tensor, of shape"), (mels(), "async_generator.*open_stream")):
        with pytest.raises(AudioError, match=message):
            check_chunks(chunks)
    with pytest.raises(AudioError, match="single tensor"):
        VOCODER.stream(mel_of(3))


def test_what_comes_after_the_end() -> None:
    audio = VOCODER.open_stream(1)
    audio.push(CHUNKS[0])
    audio.finish()
    for again in (audio.finish, lambda: audio.push(CHUNKS[0])):
        with pytest.raises(AudioError, match="has ended; open another one"):
            again()
    with pytest.raises(AudioError, match="without a frame"):
        VOCODER.open_stream(1).finish()


def test_an_error_midway_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = VOCODER.open_stream(1)
    audio.push(CHUNKS[0])

    def fail(self: VocoderStream, mel: Tensor) -> Tensor:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(VocoderStream, "push", fail)
        with pytest.raises(MemoryError):
            audio.push(CHUNKS[0])
    with pytest.raises(AudioError, match="has ended"):
        audio.push(CHUNKS[0])


def test_a_stream_takes_one_chunk_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    audio = VOCODER.open_stream(1)
    push = VocoderStream.push

    def meanwhile(self: VocoderStream, mel: Tensor) -> Tensor:
        with pytest.raises(AudioError, match="busy"):
            audio.push(mel[0])
        return push(self, mel)

    monkeypatch.setattr(VocoderStream, "push", meanwhile)
    pieces = [audio.push(chunk) for chunk in CHUNKS]
    assert_equal(torch.cat([*pieces, audio.finish()]), VOCODER(mel_of(N_FRAMES)[0], 1))


def test_a_stream_that_is_left_is_gone_and_so_is_its_source() -> None:
    was_closed = []

    def mels() -> Iterator[Tensor]:
        try:
            while True:
                yield CHUNKS[3]
        finally:
            was_closed.append(True)

    pieces = VOCODER.stream(mels(), 1)
    next(pieces)
    del pieces
    assert was_closed
    audio = VOCODER.open_stream(1)
    audio.push(CHUNKS[3])
    memory = weakref.ref(audio._stream)
    del audio
    assert memory() is None


def test_the_error_of_a_source_is_its_own() -> None:
    def mels() -> Iterator[Tensor]:
        yield CHUNKS[3]
        raise OSError("the acoustic model is gone")

    pieces = VOCODER.stream(mels(), 1)
    assert len(next(pieces))
    with pytest.raises(OSError, match="is gone"):
        next(pieces)


@pytest.mark.parametrize("option", ["lookahead_frames", "pipeline_frames"])
def test_booleans_are_no_numbers_of_frames(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} is True; it must be a whole number"):
        VOCODER.open_stream(1, **{option: True})
