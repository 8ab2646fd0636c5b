"""CUDA graphs: a function is recorded once for each shape of its inputs, then replayed with a single launch.

A graph always reads and writes the same memory. So the inputs are copied into it before each replay, items are padded
to a bucket's length (their masks travel with them), and the least recently used graph is given up for a new one.
"""

import contextlib
import copy
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import ClassVar, TypeVar

import torch
from torch import Tensor

from wavegrad.inference.memory import give_back_memory, is_of_memory

Inputs = TypeVar("Inputs")
"""Tensors in tuples and dataclasses."""
BUCKET_FRAMES = 32
"""Lengths are rounded up to a multiple of this: at 80 frames a second, 0.4 s."""


def bucket(n_frames: int) -> int:
    """The length that an input of `n_frames` is padded to."""
    return -(-n_frames // BUCKET_FRAMES) * BUCKET_FRAMES


class Recorder(ABC):
    """How functions of fixed memory are recorded; a CPU has one in the tests, which calls them again."""

    @abstractmethod
    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """A function that replays `run` into always the same tensor."""

    @abstractmethod
    def in_turn(self, call: Callable[[], Tensor]) -> Tensor:
        """What `call` returns; it works after every earlier call, whichever thread and stream that came from."""


@dataclass(frozen=True)
class CudaRecorder(Recorder):
    """CUDA graphs of one device. They share their memory and one stream: only one of them runs at a time."""

    capturing: ClassVar[threading.Lock] = threading.Lock()
    """Of the whole process: whoever waits for a whole device, as the beginning of a capture does, breaks another's."""
    stream: torch.cuda.Stream
    pool: tuple[int, int]

    @classmethod
    def on(cls, device: torch.device) -> "CudaRecorder":
        """With a stream and a memory pool of its own."""
        return cls(torch.cuda.Stream(device), torch.cuda.graph_pool_handle())

    def record(self, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
        """Capture `run`, after calls in which libraries choose their algorithms; inside `in_turn`.

        Raises:
            RuntimeError: of `run`; or another thread waited for the whole device meanwhile (torch.cuda.synchronize).
        """
        for _ in range(2):
            run()
        graph = torch.cuda.CUDAGraph()
        try:
            with self.capturing, torch.cuda.graph(graph, self.pool, self.stream, "thread_local"):  # type: ignore[arg-type]
                result = run()
        except RuntimeError:
            self._stop_recording()
            raise

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay

    def _stop_recording(self) -> None:
        """After a capture that was broken PyTorch's allocator goes on with it, as of 2.11 (`CUDAGraph::capture_end`
        raises before it ends that), and would neither capture into this pool again nor reuse what other streams had."""
        device = self.stream.device.index
        with contextlib.suppress(RuntimeError):  # where it has stopped: the capture ended well, and `run` did not
            torch._C._cuda_endAllocateToPool(device, self.pool)
            torch._C._cuda_releasePool(device, self.pool)

    def in_turn(self, call: Callable[[], Tensor]) -> Tensor:
        """On the stream of the graphs, between what the caller's stream has done and what it does next."""
        caller = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(caller)
        with torch.cuda.stream(self.stream):
            result = call()
        caller.wait_stream(self.stream)
        result.record_stream(caller)
        return result


@dataclass(frozen=True)
class Recorded:
    """A function of inputs that lie in memory of their own."""

    inputs: object
    replay: Callable[[], Tensor]

    def __call__(self, inputs: object) -> Tensor:
        """The result for inputs of the same shapes, in new memory."""
        for own, new in zip(tensors(self.inputs), tensors(inputs), strict=True):
            own.copy_(new)
        return self.replay().clone()


@dataclass(frozen=True)
class GraphCache:
    """Recorded functions.

    Args:
        size: how many are kept; the memory they share is that of the largest, the inputs are each one's own.
        recorder: what records them.
    """

    size: int
    recorder: Recorder
    recorded: OrderedDict[Hashable, Recorded] = field(default_factory=OrderedDict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, key: Hashable, function: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        """`function(inputs)`, recorded at the first call.

        Args:
            key: of the function and all shapes: for the same key, only the values in `inputs` may differ.
            function: reads no other tensors than constants, and never waits for the device.
            inputs: left as they are.

        Raises:
            RuntimeError: of `function`; all recordings were given up, so that the next try finds memory.
        """
        with self.lock, torch.inference_mode():
            return self.recorder.in_turn(lambda: self._result(key, function, inputs))

    def _result(self, key: Hashable, function: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        """By a recording; where the others take its memory, without them, and where there can be none, directly."""
        try:
            return self._recorded(key, function, inputs)(inputs)
        except (MemoryError, RuntimeError) as error:
            lacks_memory, had_others = is_of_memory(error), bool(self.recorded)
            self.recorded.clear()
            if lacks_memory and not had_others:
                raise
        if not lacks_memory:  # from here on outside the handler: its traceback holds what was computed
            return function(inputs)
        give_back_memory()
        return self._recorded(key, function, inputs)(inputs)

    def _recorded(self, key: Hashable, function: Callable[[Inputs], Tensor], inputs: Inputs) -> Recorded:
        if key not in self.recorded:
            while len(self.recorded) >= self.size:
                self.recorded.popitem(last=False)
            own = copy.deepcopy(inputs)
            self.recorded[key] = Recorded(own, self.recorder.record(lambda: function(own)))
        self.recorded.move_to_end(key)
        return self.recorded[key]


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
