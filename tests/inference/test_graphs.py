"""Recorded functions: the same numbers from fixed memory, and no more of them than allowed."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import Make, inputs
from wavegrad.diffusion import (
    DDIM,
    Ancestral,
    CounterNoise,
    Heun,
    NoiseSchedule,
    PredictorCorrector,
    Sampler,
    ScheduleWarning,
)
from wavegrad.diffusion.samplers.static_walk import noise_indices
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.inference import Engine, EngineOptions
from wavegrad.inference.graphs import BUCKET_FRAMES, CudaRecorder, GraphCache, Recorder, bucket
from wavegrad.inference.loop import MAX_CALLS, sample_at_once
from wavegrad.network import WaveGrad

SCHEDULE = NoiseSchedule.log_snr(3, 20.0, -20.0)


class ByHand(Recorder):
    """The contract of CUDA graphs on a CPU: always the same memory for the result, and always one after another."""

    def __init__(self) -> None:
        self.recorded = 0
        self.busy = False

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        self.recorded += 1
        memory = run().clone()

        def replay() -> Tensor:
            assert self.busy
            return memory.copy_(run())

        return replay

    def in_turn(self, call: Callable[[], Tensor]) -> Tensor:
        assert not self.busy
        self.busy = True
        try:
            return call()
        finally:
            self.busy = False


def steady(make: Make) -> WaveGrad:
    """A network with which walks stay small."""
    network = make(mel_std=9.0)
    with torch.no_grad():
        for film in network.films:
            film.output.weight.mul_(0.1)
        network.output_conv.weight.mul_(0.1)
    return network


def by_hand(network: torch.nn.Module, size: int = 2) -> tuple[Engine, GraphCache]:
    cache = GraphCache(size, ByHand())
    return replace(Engine.prepare(network), graphs=cache), cache


def test_replays_give_what_calls_give(make: Make) -> None:
    network = make()
    engine, cache = by_hand(network)
    hop = network.config.hop_length
    calls = []
    with torch.inference_mode():
        for seed, frames in enumerate(([5, 5], [3, 7], [BUCKET_FRAMES, 2], [BUCKET_FRAMES + 3, 9], [5, 5])):
            y, mel, levels = inputs(network, len(frames), max(frames), seed)
            calls.append((engine.bind(mel, frames), Engine.prepare(network).bind(mel, frames), y, levels))
        for level in (0, 1):  # several bindings share one graph, in turn
            for replaying, calling, y, levels in calls:
                at = levels[level].expand(len(y))
                torch.testing.assert_close(replaying(y, at), calling(y, at), rtol=0, atol=1e-10)
        replaying, _, y, levels = calls[0]
        first = replaying(y, levels[0].expand(len(y)))
        kept = first.clone()
        replaying(-y, levels[1].expand(len(y)))
        assert torch.equal(first, kept)  # a result is not the graph's memory
    assert sorted(cache.recorded) == [(2, BUCKET_FRAMES * hop), (2, 2 * BUCKET_FRAMES * hop)]


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(eta=0.5), Heun()], ids=str)
def test_a_walk_at_once_is_the_walk_step_by_step(make: Make, sampler: Sampler) -> None:
    """Batches of other lengths, seeds and mels share a graph; each item is what it is alone, then zeros."""
    network = steady(make)
    engine, cache = by_hand(network)
    hop = network.config.hop_length
    for batch, frames in enumerate(([5, 5], [3, 7], [BUCKET_FRAMES + 3, 9], [1, 5])):
        _, mel, _ = inputs(network, 2, max(frames), batch)
        seeds = [7 * batch, 3]
        found = sample_at_once(engine, sampler, SCHEDULE, mel, frames, seeds)
        assert found is not None
        for i, n in enumerate(frames):
            alone = Engine.prepare(network).bind(mel[i : i + 1, :, :n])
            with torch.inference_mode():
                expected = sampler(alone, SCHEDULE, n * hop, seeds[i : i + 1])[0]
            assert (found[i, : n * hop] - expected).norm() / expected.norm() < 1e-5
            assert not found[i, n * hop :].any()
    assert len(cache.recorded) == cache.recorder.recorded == 2  # one for each bucket


def test_a_walk_of_its_own_for_each_sampler_schedule_and_batch_size(make: Make) -> None:
    network = steady(make)
    engine, cache = by_hand(network, size=8)
    _, mel, _ = inputs(network, 2, 3)
    other = NoiseSchedule.log_snr(3, 25.0, -20.0)
    walks = [(Ancestral(), SCHEDULE, 2), (DDIM(), SCHEDULE, 2), (Ancestral(), other, 2), (Ancestral(), SCHEDULE, 1)]
    results = [
        sample_at_once(engine, sampler, schedule, mel[:n], [3] * n, [0] * n) for sampler, schedule, n in walks * 2
    ]
    assert len(cache.recorded) == 4
    for first, second in zip(results[:4], results[4:], strict=True):
        assert first is not None
        assert second is not None
        assert torch.equal(first, second)
    assert not any(torch.equal(results[0][:1], result[:1]) for result in results[1:3])


def test_what_no_graph_holds_goes_step_by_step(make: Make) -> None:
    network = steady(make)
    engine, cache = by_hand(network)
    _, mel, _ = inputs(network, 1, 3)
    for sampler in (Ancestral(variance="analytic"), Ancestral(variance="learned"), PredictorCorrector()):
        assert sample_at_once(engine, sampler, SCHEDULE, mel, [3], [0]) is None
    long = NoiseSchedule.log_snr(MAX_CALLS + 1, 20.0, -20.0)
    assert sample_at_once(engine, Ancestral(), long, mel, [3], [0]) is None
    assert sample_at_once(Engine.prepare(network), Ancestral(), SCHEDULE, mel, [3], [0]) is None
    assert not cache.recorded
    assert sample_at_once(engine, Ancestral(), SCHEDULE, mel * float("nan"), [3], [0]) is None
    with pytest.warns(ScheduleWarning):
        sample_at_once(engine, Ancestral(), NoiseSchedule.log_snr(2, 20.0, 0.0), mel, [3], [0])


def test_noises_of_a_walk() -> None:
    """That of y_N, and of every step but the last, or of none of them."""
    assert noise_indices(Ancestral(), SCHEDULE) == [3, 2, 1]
    assert noise_indices(DDIM(), SCHEDULE) == [3]


def test_the_least_recently_used_is_given_up(make: Make) -> None:
    network = make()
    engine, cache = by_hand(network)
    with torch.inference_mode():
        for n_items in (1, 2, 1, 3):
            y, mel, levels = inputs(network, n_items, 2)
            engine.bind(mel)(y, levels[:1].expand(n_items))
    assert [shape[0] for shape in cache.recorded] == [1, 3]


def test_a_lack_of_memory_gives_up_all_recordings() -> None:
    cache = GraphCache(4, ByHand())
    x = torch.ones(2)
    assert torch.equal(cache.run("double", lambda x: 2 * x, x), 2 * x)

    def too_large(x: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        cache.run("large", too_large, x)
    assert not cache.recorded
    assert torch.equal(cache.run("double", lambda x: 2 * x, x), 2 * x)


def test_recordings_make_room_for_one_that_lacks_memory() -> None:
    """What they hold is not given to others, so that a smaller batch was made where the whole one fits."""
    cache = GraphCache(4, ByHand())
    x = torch.ones(2)
    cache.run("double", lambda x: 2 * x, x)

    def large(x: Tensor) -> Tensor:
        if "double" in cache.recorded:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 3 * x

    assert torch.equal(cache.run("large", large, x), 3 * x)
    assert list(cache.recorded) == ["large"]


def test_what_cannot_be_recorded_is_called() -> None:
    """Another thread may have waited for the whole device, which breaks a capture; the next call may find it idle."""
    recorder = ByHand()
    cache, x = GraphCache(4, recorder), torch.ones(2)
    with patch.object(recorder, "record", side_effect=RuntimeError("CUDA error: operation failed due to a previous")):
        assert torch.equal(cache.run("double", lambda x: 2 * x, x), 2 * x)
    assert not cache.recorded
    assert torch.equal(cache.run("double", lambda x: 2 * x, x), 2 * x)
    assert list(cache.recorded) == ["double"]

    def wrong(x: Tensor) -> Tensor:
        raise RuntimeError("its own")

    with pytest.raises(RuntimeError, match="its own"):
        cache.run("wrong", wrong, x)


@pytest.fixture
def calls() -> Iterator[list[tuple[object, ...]]]:
    """What a `CudaRecorder` asks of PyTorch, instead of a device; the ends of captures raise, as they do in 2.11."""
    made: list[tuple[object, ...]] = []

    @contextlib.contextmanager
    def graph(graph: object, pool: object, stream: object, mode: str) -> Iterator[None]:
        made.append(("begin", pool, mode))
        try:
            yield
        finally:
            if ("broken",) in made:
                raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")

    def end(*arguments: object) -> None:
        made.append(("end", *arguments))
        if ("broken",) not in made:
            raise RuntimeError("not currently recording to mempool_id")

    with (
        patch("torch.cuda.CUDAGraph", lambda: SimpleNamespace(replay=lambda: made.append(("replay",)))),
        patch("torch.cuda.graph", graph),
        patch("torch._C._cuda_endAllocateToPool", end, create=True),
        patch("torch._C._cuda_releasePool", lambda *arguments: made.append(("release", *arguments)), create=True),
    ):
        yield made


def cuda_recorder() -> CudaRecorder:
    recorder = object.__new__(CudaRecorder)
    object.__setattr__(recorder, "stream", SimpleNamespace(device=torch.device("cuda", 1)))
    object.__setattr__(recorder, "pool", (0, 7))
    return recorder


def test_one_capture_at_a_time(calls: list[tuple[object, ...]]) -> None:
    """In the whole process; what comes before it may be several."""
    locked = []

    def run() -> Tensor:
        locked.append(CudaRecorder.capturing.locked())
        return torch.ones(1)

    replay = cuda_recorder().record(run)
    assert locked == [False, False, True]
    assert not CudaRecorder.capturing.locked()
    assert torch.equal(replay(), torch.ones(1))
    assert calls == [("begin", (0, 7), "thread_local"), ("replay",)]


def test_a_broken_capture_is_cleared_away(calls: list[tuple[object, ...]]) -> None:
    """Its allocator is told, on the device of the stream; one that had ended is left alone."""

    def breaks() -> Tensor:
        if calls:
            calls.append(("broken",))
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
        return torch.ones(1)

    with pytest.raises(RuntimeError, match="previous error"):
        cuda_recorder().record(breaks)
    assert calls[2:] == [("end", 1, (0, 7)), ("release", 1, (0, 7))]
    calls.clear()

    def too_large() -> Tensor:
        if calls:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return torch.ones(1)

    with pytest.raises(torch.OutOfMemoryError):
        cuda_recorder().record(too_large)
    assert calls[1:] == [("end", 1, (0, 7))]
    assert not CudaRecorder.capturing.locked()


def test_buckets() -> None:
    assert [bucket(n) for n in (1, BUCKET_FRAMES, BUCKET_FRAMES + 1)] == [
        BUCKET_FRAMES,
        BUCKET_FRAMES,
        2 * BUCKET_FRAMES,
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("frames", [[5, 5], [3, BUCKET_FRAMES]])
def test_cuda_graphs_of_calls(make: Make, frames: list[int]) -> None:
    network = make().float()
    y, mel, levels = inputs(network, 2, max(frames))
    on_gpu = Engine.prepare(network.cuda())
    assert on_gpu.graphs is not None
    with torch.inference_mode():
        predict = on_gpu.bind(mel.cuda(), frames)
        for level in levels:
            at = level.expand(2)
            expected = Engine.prepare(network.cpu()).bind(mel, frames)(y, at)
            torch.testing.assert_close(predict(y.cuda(), at.cuda()).cpu(), expected, rtol=0, atol=1e-3)


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype:UserWarning")
@pytest.mark.parametrize("n_graphs", [0, 8])
def test_the_host_never_waits_inside_a_call(make: Make, n_graphs: int) -> None:
    """PyTorch raises on every synchronising call while the debug mode is on. The levels are as a walk has them."""
    network = make().float()
    y, mel, levels = (value.cuda() for value in inputs(network, 2, 7))
    predict = Engine.prepare(network.cuda(), options=EngineOptions(n_graphs=n_graphs)).bind(mel, [7, 3])
    with torch.inference_mode():
        predict(y, levels[:1].expand(2))
        noise = CounterNoise([1, 2], "cuda")
        torch.cuda.set_sync_debug_mode("error")
        try:
            predict(y, levels[1:2].expand(2))
            noise(3, 100)
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_cuda_graphs_of_walks(make: Make) -> None:
    """Three batches, two of which share a graph, whose results are read after all were launched, from two streams."""
    network = steady(make).float()
    on_cpu, on_gpu = Engine.prepare(network), Engine.prepare(network.cuda())
    hop, batches = network.config.hop_length, ([5, 5], [3, BUCKET_FRAMES], [2, 7])
    mels = [inputs(network.cpu(), 2, max(frames), seed)[1] for seed, frames in enumerate(batches)]
    found = []
    for mel, frames, stream in zip(mels, batches, (None, torch.cuda.Stream(), None), strict=True):
        with torch.cuda.stream(stream):
            found.append(sample_at_once(on_gpu, Ancestral(), SCHEDULE, mel.cuda(), frames, [1, 2]))
    torch.cuda.synchronize()
    for y_0, mel, frames in zip(found, mels, batches, strict=True):
        assert y_0 is not None
        noise = partial(CounterNoise([1, 2]), n_samples=max(frames) * hop)
        with torch.inference_mode():
            expected = Ancestral().refine(Walk(on_cpu.bind(mel, frames), SCHEDULE, noise))
        for i, n in enumerate(frames):
            error = y_0[i, : n * hop].cpu() - expected[i, : n * hop]
            assert error.norm() / expected[i, : n * hop].norm() < 1e-3
