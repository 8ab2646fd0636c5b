"""What `wavegrad benchmark synthesis` measures."""

import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from wavegrad.errors import ConfigError, unknown

if TYPE_CHECKING:
    from torch import Tensor

    from wavegrad.device import Precision
    from wavegrad.diffusion import NoiseSchedule
    from wavegrad.inference.operations import Operations
    from wavegrad.inference.speed import Times
    from wavegrad.vocoder import EngineName, Vocoder

ENGINES = ("fast", "no-fusion", "no-graphs", "reference", "stream-N", "pipelined-N")
"""Of `Way.of`; N frames come at a time, with "pipelined" to steps that work side by side on N frames each."""
STREAM = r"(stream|pipelined)-([1-9]\d*)"


@dataclass(frozen=True)
class Case:
    """What one row is about."""

    network: str
    steps: int
    batch: int
    seconds: float
    dtype: "Precision"
    griffin_lim: int = 0


@dataclass(frozen=True)
class Row:
    """Figures of one case with one engine; all rows of a case were measured in turn."""

    network: str
    engine: str
    dtype: str
    steps: int
    batch: int
    seconds: float
    """Length of each item."""
    griffin_lim: int
    """Iterations; their operations are not counted."""
    first_call_s: float
    """With the preparation of the engine."""
    latency_s: float
    """From the call to the first audio, median: a call gives all its audio at once; of a stream, to which all chunks
    come as fast as it takes them, the computing before its first audio."""
    slowest_s: float
    real_time_factor: float
    """Seconds of computing for each second of audio."""
    throughput: float
    """Seconds of audio for each second of computing."""
    ratio_to_reference: float | None
    """Time over that of the network as it was trained, run by run; None where that was not measured."""
    gmac: float
    """Counted multiply-accumulates of a call, 10^9."""
    gmac_per_s: float
    matrix_gmac_per_s: float
    """What a product of large matrices of this dtype did in the same run."""
    share_of_matrix_rate: float
    peak_memory_mb: float
    """GPU: of this case. CPU: of the process up to here."""


@dataclass(frozen=True)
class Way:
    """How a mel is made audio."""

    vocoder: "Vocoder"
    precision: "Precision"
    chunk_frames: int | None = None
    """Of a stream; None: the whole mel at once."""
    is_pipelined: bool = False
    """Whether the steps of the stream work side by side, on a chunk each."""
    is_reference: bool = False

    @classmethod
    def of(cls, engine: str, vocoder: "Vocoder", precision: "Precision") -> "Way":
        """By name; the reference and streams stay in float32 where int8 is asked for, which they have not."""
        from wavegrad.inference import EngineOptions

        exact: Precision = "float32" if precision == "int8" else precision
        if engine == "reference":
            return cls(vocoder, exact, is_reference=True)
        if stream := re.fullmatch(STREAM, engine):
            return cls(vocoder, exact, int(stream[2]), is_pipelined=stream[1] == "pipelined")
        options = {"no-fusion": EngineOptions(fused=False), "no-graphs": EngineOptions(n_graphs=0)}
        return cls(replace(vocoder, engine_options=options.get(engine, EngineOptions())), precision)

    def macs(self, counted: "Operations", n_steps: int) -> float:
        """Multiply-accumulates for one second of audio."""
        if self.is_reference:
            return n_steps * counted.network
        return counted.total(n_steps) if self.chunk_frames is None else counted.of_stream(n_steps)

    def __call__(self, mel: "Tensor", schedule: "NoiseSchedule", griffin_lim: int) -> float:
        """Make all audio, and return the seconds to the first of it."""
        began = time.perf_counter()
        if self.chunk_frames is None:
            engine: EngineName = "reference" if self.is_reference else "fast"
            self.vocoder(mel, schedule, precision=self.precision, engine=engine, griffin_lim=griffin_lim).cpu()
            return time.perf_counter() - began
        chunks = mel.split(self.chunk_frames, dim=2)
        pieces = self.vocoder.stream(
            chunks,
            schedule,
            precision=self.precision,
            griffin_lim=griffin_lim,
            pipeline_frames=self.chunk_frames if self.is_pipelined else None,
        )
        next(pieces).cpu()
        first = time.perf_counter() - began
        for piece in pieces:
            piece.cpu()
        return first


def engine_names(text: str) -> list[str]:
    """Names with commas between them.

    Raises:
        ConfigError: there is no such engine.
    """
    names = text.split(",")
    for name in names:
        if name not in ENGINES[:-2] and not re.fullmatch(STREAM, name):
            raise ConfigError(unknown("engine", name, ENGINES))
    return names


def measure(case: Case, vocoder: "Vocoder", engines: Sequence[str], n_runs: int) -> list[Row]:
    """One row for each engine."""
    import torch

    from wavegrad.inference.engine import DTYPES
    from wavegrad.inference.operations import count_operations
    from wavegrad.inference.speed import forget_peak, matrix_product, time_in_turn

    device, rate, hop = vocoder.device, vocoder.sample_rate, vocoder.hop_length
    n_frames = max(round(case.seconds * rate / hop), 1)
    mel = vocoder.mel(torch.randn(case.batch, n_frames * hop, generator=torch.Generator().manual_seed(0)) * 0.1)
    schedule = vocoder.find_schedule(case.steps)
    ways = {name: Way.of(name, vocoder, case.dtype) for name in engines}
    latencies: dict[str, list[float]] = {name: [] for name in engines}

    def call(name: str) -> None:
        latencies[name].append(ways[name](mel, schedule, case.griffin_lim))

    calls: dict[str, Callable[[], object]] = {name: partial(call, name) for name in engines}
    products = {dtype: matrix_product(device, DTYPES[dtype]) for dtype in {way.precision for way in ways.values()}}
    calls |= {f"matrix {dtype}": product for dtype, (product, _) in products.items()}
    forget_peak(device)
    times = time_in_turn(calls, n_runs, device)
    counted, audio_s = count_operations(vocoder.network.config, rate), case.batch * n_frames * hop / rate
    rows = []
    for name, way in ways.items():
        gmac = audio_s * way.macs(counted, case.steps) / 1e9
        matrix_rate = products[way.precision][1] / times[f"matrix {way.precision}"].median / 1e9
        ratio = times[name].ratio(times["reference"]) if "reference" in times else None
        latency = statistics.median(latencies[name][1:])
        rows.append(_row(case, name, way, _Figures(times[name], latency, audio_s, gmac, matrix_rate, ratio)))
    return rows


@dataclass(frozen=True)
class _Figures:
    """What was measured and counted of one engine."""

    times: "Times"
    latency_s: float
    audio_s: float
    gmac: float
    matrix_rate: float
    ratio: float | None


def _row(case: Case, name: str, way: Way, found: _Figures) -> Row:
    from wavegrad.inference.speed import peak_memory_bytes

    median = found.times.median
    return Row(
        network=case.network,
        engine=name,
        dtype=way.precision,
        steps=case.steps,
        batch=case.batch,
        seconds=case.seconds,
        griffin_lim=case.griffin_lim,
        first_call_s=found.times.first,
        latency_s=found.latency_s,
        slowest_s=max(found.times.runs),
        real_time_factor=median / found.audio_s,
        throughput=found.audio_s / median,
        ratio_to_reference=found.ratio,
        gmac=found.gmac,
        gmac_per_s=found.gmac / median,
        matrix_gmac_per_s=found.matrix_rate,
        share_of_matrix_rate=found.gmac / median / found.matrix_rate,
        peak_memory_mb=peak_memory_bytes(way.vocoder.device) / 1e6,
    )
