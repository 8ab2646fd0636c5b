"""`wavegrad benchmark train`: how fast a training step is."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from wavegrad import atomic
from wavegrad.cli.benchmark import machine
from wavegrad.cli.options import Threads, set_threads, use_large_pages
from wavegrad.errors import ConfigError, unknown


def benchmark_train(
    recipe: Annotated[str, typer.Argument(help="Recipe file, for example recipes/small-24k.toml.")],
    options: Annotated[
        str | None,
        typer.Option(
            help="Keys of [run] to switch, with commas: precision, channels_last, tune_convolutions, fused_film, "
            "fused_optimizer, whole_mels, compile, corpus_on_device, prefetch; left out: those that may matter on this "
            "device."
        ),
    ] = None,
    runs: Annotated[int, typer.Option(help="Measured runs of each set of options, after one to warm up.", min=1)] = 5,
    steps: Annotated[int, typer.Option(help="Training steps of a run.", min=1)] = 3,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe: section.key=value. May be repeated.")
    ] = None,
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file.")] = None,
) -> None:
    """Time training steps with everything off, everything on, and each option alone on and off.

    The sets of options take turns with each other and with a product of large matrices: quote the ratios, not the
    seconds, from a machine that has other work. The crops are made noise; no corpus is needed.
    """
    if out is not None and not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")
    use_large_pages()
    set_threads(threads)
    from wavegrad.device import choose_device
    from wavegrad.training import load_recipe
    from wavegrad.training.benchmark import SWITCHES, default_switches, measure_steps

    chosen = load_recipe(recipe, overrides)
    device = choose_device(chosen.run.device)
    keys = default_switches(device) if options is None else tuple(options.split(","))
    for key in keys:
        if key not in SWITCHES:
            raise ConfigError(unknown("option", key, SWITCHES))
    rows = measure_steps(chosen, keys, runs, steps)
    for row in rows:
        typer.echo(
            f"{row.name}: {row.samples_per_s:,.0f} samples/s, {row.steps_per_s:.2f} steps/s, "
            f"{row.speed_to_plain:.2f} x plain, {row.speed_to_all:.2f} x all, {row.gflop:,.1f} GFLOP a step, "
            f"{row.gflop_per_s:,.0f} GFLOP/s, "
            f"{row.share_of_matrix_rate:.1%} of the matrix rate ({row.matrix_gflop_per_s:,.0f} GFLOP/s), "
            f"{row.kept_mb:,.0f} MB kept for the backward pass, {row.peak_memory_mb:,.0f} MB at most"
        )
    if out is not None:
        table = {
            "machine": machine(device.type),
            "recipe": Path(recipe).stem,
            "overrides": overrides or [],
            "rows": [asdict(row) for row in rows],
        }
        atomic.write_text(out, json.dumps(table, indent=1) + "\n")
