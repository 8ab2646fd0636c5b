"""CUDA graphs of the network: one for each batch size and length bucket, the least recently used given up first.

A graph replays hundreds of kernels with a single launch, and always reads and writes the same memory. So the inputs are
copied into it before each replay, items are padded to the bucket's length (their masks travel with them), and one
replay at a time is allowed. Differs from capturing the whole loop of N steps: a graph holds one network call, which
serves every sampler, schedule and number of steps; the sampler adds a dozen small launches to each replay.
"""

import copy
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass

import torch
from torch import Tensor

from wavegrad.inference.film import OneLevel
from wavegrad.inference.prepared import Condition, PreparedNetwork
from wavegrad.shapes import Waveform

BUCKET_FRAMES = 64
"""Lengths are rounded up to a multiple of this: at 80 frames a second, 0.8 s."""
Capture = Callable[[Callable[[], Tensor]], Callable[[], Tensor]]
"""Turns a function of fixed memory into one that replays it into always the same tensor."""


def bucket(n_frames: int) -> int:
    """The length that an input of `n_frames` is padded to."""
    return -(-n_frames // BUCKET_FRAMES) * BUCKET_FRAMES


@dataclass
class StaticStep:
    """One network call in memory of its own."""

    y: Waveform
    noise_level: OneLevel
    condition: Condition
    replay: Callable[[], Tensor]

    @classmethod
    def capture(
        cls, network: PreparedNetwork, y: Waveform, noise_level: OneLevel, condition: Condition, capture: Capture
    ) -> "StaticStep":
        """Take these very tensors for its memory."""
        replay = capture(lambda: network.step(y, condition, network.levels(noise_level)))
        return cls(y, noise_level, condition, replay)

    def __call__(self, y: Waveform, noise_level: OneLevel, condition: Condition) -> Waveform:
        """The prediction for inputs of the same shapes."""
        for own, new in zip(tensors(self.condition), tensors(condition), strict=True):
            own.copy_(new)
        self.y.copy_(y)
        self.noise_level.copy_(noise_level)
        return self.replay().clone()


@dataclass(frozen=True)
class GraphCache:
    """Static steps by shape of the input.

    Args:
        size: how many are kept; each holds the activations of its shape.
        capture: `cuda_graph`, or anything that keeps its contract.
    """

    size: int
    capture: Capture
    steps: OrderedDict[tuple[int, ...], StaticStep] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self, network: PreparedNetwork, y: Waveform, noise_level: OneLevel, condition: Condition) -> Waveform:
        """What `network.step` gives, for a condition whose masks are explicit; the first call of a shape captures."""
        with self.lock:
            key = tuple(y.shape)
            if key not in self.steps:
                while len(self.steps) >= self.size:
                    self.steps.popitem(last=False)
                memory = copy.deepcopy(condition)
                self.steps[key] = StaticStep.capture(network, y.clone(), noise_level.clone(), memory, self.capture)
            self.steps.move_to_end(key)
            return self.steps[key](y, noise_level, condition)


def cuda_graph(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture `run`, after three calls on a side stream in which libraries choose their algorithms."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay


def tensors(value: object) -> Iterator[Tensor]:
    """All tensors inside tuples and dataclasses, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from tensors(item)
    elif is_dataclass(value):
        for item in fields(value):
            yield from tensors(getattr(value, item.name))
