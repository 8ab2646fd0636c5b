"""Static steps: the same numbers from fixed memory, and no more of them than allowed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import Make, inputs
from wavegrad.inference import Engine
from wavegrad.inference.graphs import BUCKET_FRAMES, GraphCache, bucket


def replayed_by_hand(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """The contract of a CUDA graph on a CPU: always the same memory for the result."""
    memory = run().clone()

    def replay() -> Tensor:
        return memory.copy_(run())

    return replay


def test_replays_give_what_calls_give(make: Make) -> None:
    network = make()
    engine = replace(Engine.prepare(network), graphs=GraphCache(2, replayed_by_hand))
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
    assert sorted(engine.graphs.steps) == [(2, BUCKET_FRAMES * hop), (2, 2 * BUCKET_FRAMES * hop)]


def test_the_least_recently_used_is_given_up(make: Make) -> None:
    network = make()
    engine = replace(Engine.prepare(network), graphs=GraphCache(2, replayed_by_hand))
    assert engine.graphs is not None
    with torch.inference_mode():
        for n_items in (1, 2, 1, 3):
            y, mel, levels = inputs(network, n_items, 2)
            engine.bind(mel)(y, levels[:1].expand(n_items))
    assert [shape[0] for shape in engine.graphs.steps] == [1, 3]


def test_buckets() -> None:
    assert [bucket(n) for n in (1, BUCKET_FRAMES, BUCKET_FRAMES + 1)] == [
        BUCKET_FRAMES,
        BUCKET_FRAMES,
        2 * BUCKET_FRAMES,
    ]


@pytest.mark.gpu
@pytest.mark.parametrize("frames", [[5, 5], [3, BUCKET_FRAMES]])
def test_cuda_graphs(make: Make, frames: list[int]) -> None:
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
