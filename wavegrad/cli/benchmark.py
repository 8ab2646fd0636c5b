"""`wavegrad benchmark`: what the machine makes of it."""

import itertools
import json
import math
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad import atomic
from wavegrad.cli.options import Device, Model, Threads, read_precisions, set_threads
from wavegrad.cli.synthesis_speed import Case, Row, engine_names, measure
from wavegrad.errors import ConfigError

if TYPE_CHECKING:
    from wavegrad.vocoder import Vocoder

benchmark = typer.Typer(no_args_is_help=True, help="Measure speed.")


@benchmark.callback()
def _several() -> None:
    """Keeps `synthesis` a command of its own while it is the only one."""


@benchmark.command()
def synthesis(
    network: Annotated[
        str | None, typer.Option(help="Presets with random weights, with commas; left out: a model with its weights.")
    ] = None,
    model: Model = None,
    steps: Annotated[str, typer.Option(help="Numbers of refinement steps, with commas between them.")] = "6",
    batch: Annotated[str, typer.Option(help="Batch sizes.")] = "1",
    seconds: Annotated[str, typer.Option(help="Lengths of the utterances, s.")] = "5",
    dtype: Annotated[
        str,
        typer.Option(
            help="Precisions of the network, with commas: float32, bfloat16, float16, int8, auto (bfloat16 where the "
            "device has units for it, else float32)."
        ),
    ] = "float32",
    engine: Annotated[
        str,
        typer.Option(
            help="fast, no-fusion or, on a GPU, no-graphs (fast without), reference (the network as trained), stream-8 "
            "(chunks of 8 frames, any number) or pipelined-8 (all steps at once, on a chunk each)."
        ),
    ] = "fast,reference",
    griffin_lim: Annotated[str, typer.Option(help="Iterations of Griffin-Lim behind the network; 0: none.")] = "0",
    runs: Annotated[int, typer.Option(help="Measured calls of each kind, after one to warm up.", min=1)] = 5,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file; a picture, .svg, goes beside it.")] = None,
) -> None:
    """Time synthesis, every combination of the options.

    The engines take turns with each other and with a product of large matrices: quote the ratios, not the seconds, from
    a machine that has other work.
    """
    if out is not None and not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")
    if network is not None and model is not None:
        raise ConfigError("--network and --model exclude each other: a preset has random weights, a model its own")
    engines = engine_names(engine)
    dtypes = read_precisions(dtype.split(","), device)
    shapes = list(
        itertools.product(
            _numbers("steps", steps),
            _numbers("batch", batch),
            _numbers("seconds", seconds, whole=False),
            _numbers("griffin-lim", griffin_lim, zero=True),
        )
    )
    set_threads(threads)
    from wavegrad.device import choose_device
    from wavegrad.inference import keep_freed_memory

    keep_freed_memory()
    where = choose_device(device)
    rows = []
    for name, vocoder in vocoders_of(network, model):
        placed = vocoder.to(where)
        for (n_steps, n_items, length, n_iter), precision in itertools.product(shapes, dtypes):
            case = Case(name, int(n_steps), int(n_items), length, precision, int(n_iter))
            measured = measure(case, placed, engines, runs)
            rows += measured
            for row in measured:
                typer.echo(_line(row))
    if out is not None:
        _write(out, machine(where.type), rows)


def vocoders_of(network: str | None, model: str | None) -> "Iterator[tuple[str, Vocoder]]":
    """Presets with random weights, by name; or a model."""
    import torch

    from wavegrad.audio import mel_preset
    from wavegrad.network import WaveGrad, network_preset
    from wavegrad.vocoder import Vocoder

    if network is None:
        yield model or "default model", Vocoder.from_pretrained(model)
        return
    for name in network.split(","):
        random = WaveGrad(network_preset(name))
        torch.nn.init.zeros_(random.output_conv.weight)  # random refinement would diverge; the work is the same
        yield name, Vocoder(mel_preset("wavegrad-24k"), random)


def _line(row: Row) -> str:
    ratio = "" if row.ratio_to_reference is None else f", {row.ratio_to_reference:.2f} x the reference's time"
    return (
        f"{_name(row)}: real-time factor {row.real_time_factor:.3f}{ratio}, "
        f"{row.share_of_matrix_rate:.0%} of the matrix rate ({row.matrix_gmac_per_s:.0f} GMAC/s), "
        f"first audio after {row.latency_s:.2f} s of computing"
    )


def _name(row: Row) -> str:
    further = f", griffin_lim {row.griffin_lim}" if row.griffin_lim else ""
    return f"{row.network}, {row.steps} steps{further}, {row.batch} x {row.seconds:g} s, {row.dtype}, {row.engine}"


def machine(device: str) -> dict[str, object]:
    """What the figures are about."""
    import torch

    from wavegrad import __version__

    name = torch.cuda.get_device_name() if device == "cuda" else _processor()
    return {
        "device": device,
        "name": name,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "wavegrad": __version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _write(out: Path, machine: dict[str, object], rows: list[Row]) -> None:
    """JSON and picture, each whole or not at all."""
    from wavegrad.cli.speed_chart import speed_chart

    table = {"machine": machine, "rows": [asdict(row) for row in rows]}
    bars = [(_name(row), row.real_time_factor) for row in rows]
    title = f"Real-time factor on {machine['name']}, {machine['threads']} threads"
    for path, text in ((out, json.dumps(table, indent=1) + "\n"), (out.with_suffix(".svg"), speed_chart(title, bars))):
        atomic.write_text(path, text)


def _numbers(option: str, text: str, *, whole: bool = True, zero: bool = False) -> list[float]:
    """Numbers above zero, or from zero on."""
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    for n in numbers:
        if not math.isfinite(n) or n < 0 or (n == 0 and not zero) or (whole and not n.is_integer()):
            kind, bound = "whole numbers" if whole else "numbers", "from 0 on" if zero else "above 0"
            raise ConfigError(f"--{option} is {text!r}; {kind} {bound} with commas between them are expected")
    return numbers
