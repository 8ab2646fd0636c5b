"""`wavegrad benchmark peers`: beside what else turns mels into speech."""

import contextlib
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad import atomic
from wavegrad.cli.benchmark import machine, vocoders_of
from wavegrad.cli.files import not_all_done
from wavegrad.cli.options import Threads, set_threads
from wavegrad.errors import ConfigError, unknown

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.peers import Facts
    from wavegrad.vocoder import Vocoder

Timed = Callable[[], tuple[float, float]]
"""Makes some audio; the seconds that took, and those of the processor."""
OURS = "base,small"
"""Networks of ours; the first is what the others are compared with."""


@dataclass(frozen=True)
class Row:
    """Figures of one vocoder; all of them were measured in turn."""

    package: str
    version: str
    computes: str
    parameters: int
    torch: str
    seconds: float
    """Of audio in a call."""
    real_time_factor: float
    """Seconds of computing for each second of audio: the median of the runs."""
    least: float
    """Of the runs."""
    most: float
    processor_factor: float
    """Seconds of the processor, all threads, for each second of audio, median: other work on the machine hardly adds to
    it."""
    ratio_to_base: float
    """Of the seconds of the processor to those of the first row: the median of the ratios run by run."""


def benchmark_peers(
    venv: Annotated[
        list[str],
        typer.Option(metavar="NAME=DIR", help="lmnt, vocos or bigvgan, and the environment it is in; may be repeated."),
    ],
    seconds: Annotated[float, typer.Option(help="Length of the audio, s.", min=0.05)] = 2.0,
    steps: Annotated[int, typer.Option(help="Refinement steps, of those that refine.", min=1)] = 6,
    runs: Annotated[int, typer.Option(help="Measured calls of each, after one to warm up.", min=1)] = 3,
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file.")] = None,
) -> None:
    """Time our networks and other packages in turn, on the CPU, with random weights and as many threads.

    Ours run as in vocode, the others as their packages do.

    Each other package has a virtual environment of its own, for example: python -m venv V; V/bin/pip install
    wavegrad==0.1.5 (lmnt's), vocos==0.1.0, or bigvgan==2.4.1. One that does not work is reported and does not stop the
    others; the exit code is 2 then.
    """
    if out is not None and not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")
    environments = [_named_environment(text) for text in venv]
    set_threads(threads)
    import torch

    from wavegrad.inference import keep_freed_memory
    from wavegrad.peers import PEERS, interpreter_of, start_peer

    keep_freed_memory()
    with contextlib.ExitStack() as stack:
        peers, failures = [], 0
        for name, folder in environments:
            try:
                peer = start_peer(
                    name,
                    PEERS[name],
                    interpreter_of(folder),
                    seconds=seconds,
                    steps=steps,
                    threads=torch.get_num_threads(),
                )
                peers.append(stack.enter_context(peer))
            except ConfigError as error:
                failures += 1
                typer.echo(str(error), err=True)
        rows = _measure([*_ours(seconds, steps), *((peer.facts, peer.time) for peer in peers)], runs)
    typer.echo(_table(rows))
    if out is not None:
        _write(out, rows)
    not_all_done(failures)


def _named_environment(text: str) -> tuple[str, Path]:
    from wavegrad.peers import PEERS

    name, _, folder = text.partition("=")
    if not folder:
        raise ConfigError(f"--venv is {text!r}; NAME=DIR is expected, for example lmnt=venvs/lmnt")
    if name not in PEERS:
        raise ConfigError(unknown("peer", name, PEERS))
    return name, Path(folder)


def _ours(seconds: float, steps: int) -> "list[tuple[Facts, Timed]]":
    """Facts, and a call that times itself; warmed up."""
    import torch

    from wavegrad import __version__
    from wavegrad.peers import Facts

    found: list[tuple[Facts, Timed]] = []
    for name, vocoder in vocoders_of(OURS, None):
        n_samples = round(seconds * vocoder.sample_rate / vocoder.hop_length) * vocoder.hop_length
        mel = vocoder.mel(0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(0)))
        call = partial(_seconds_of, vocoder, mel, steps)
        call()
        n_parameters = sum(p.numel() for p in vocoder.network.parameters())
        length, does = n_samples / vocoder.sample_rate, f"{steps} steps"
        found.append((Facts(f"this, {name}", __version__, does, n_parameters, length, torch.__version__), call))
    return found


def _seconds_of(vocoder: "Vocoder", mel: "Float[Tensor, 'n_mels frames']", steps: int) -> tuple[float, float]:
    began = time.perf_counter(), time.process_time()
    vocoder(mel, steps)
    return time.perf_counter() - began[0], time.process_time() - began[1]


def _measure(vocoders: "Sequence[tuple[Facts, Timed]]", n_runs: int) -> list[Row]:
    """In turn, so that a machine whose speed drifts is fair to all of them."""
    real: list[list[float]] = [[] for _ in vocoders]
    processor: list[list[float]] = [[] for _ in vocoders]
    for _ in range(n_runs):
        for i, (facts, timed) in enumerate(vocoders):
            seconds, of_processor = timed()
            real[i].append(seconds / facts.seconds)
            processor[i].append(of_processor / facts.seconds)
    return [
        Row(
            **asdict(facts),
            real_time_factor=statistics.median(real[i]),
            least=min(real[i]),
            most=max(real[i]),
            processor_factor=statistics.median(processor[i]),
            ratio_to_base=statistics.median(a / b for a, b in zip(processor[i], processor[0], strict=True)),
        )
        for i, (facts, _) in enumerate(vocoders)
    ]


def _table(rows: Sequence[Row]) -> str:
    """Markdown; seconds of the processor for each second of audio, and how they compare with those of base."""
    lines = [
        "| package | version | parameters | computes | real-time factor (least - most) | processor | to base |",
        "| --- | --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        factor = f"{row.real_time_factor:.3f} ({row.least:.3f} - {row.most:.3f}) | {row.processor_factor:.3f}"
        size = f"{row.parameters / 1e6:.1f} M"
        lines.append(
            f"| {row.package} | {row.version} | {size} | {row.computes} | {factor} | {row.ratio_to_base:.3f} |"
        )
    return "\n".join(lines)


def _write(out: Path, rows: Sequence[Row]) -> None:
    table = {"machine": machine("cpu"), "rows": [asdict(row) for row in rows]}
    atomic.write_text(out, json.dumps(table, indent=1) + "\n")
