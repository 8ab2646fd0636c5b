"""The command `wavegrad`."""

import io
import os
import sys
from typing import Annotated

import typer

from wavegrad.cli.benchmark import benchmark
from wavegrad.cli.benchmark_peers import benchmark_peers
from wavegrad.cli.benchmark_train import benchmark_train
from wavegrad.cli.compare_mels import compare_mels
from wavegrad.cli.evaluate import evaluate
from wavegrad.cli.export import export
from wavegrad.cli.files import REMEDIES
from wavegrad.cli.import_checkpoint import import_checkpoint
from wavegrad.cli.likelihood import likelihood
from wavegrad.cli.mel import mel
from wavegrad.cli.models import models
from wavegrad.cli.prepare import prepare
from wavegrad.cli.search_schedule import search_schedule
from wavegrad.cli.train import train
from wavegrad.cli.vocode import vocode
from wavegrad.errors import WavegradError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="WaveGrad: a vocoder that turns mel spectrograms into speech by refining noise.",
)
for command in (vocode, mel, prepare, train, evaluate, likelihood, models, export):
    app.command(no_args_is_help=command is not models)(command)
app.command("compare-mels", no_args_is_help=True)(compare_mels)
app.command("search-schedule", no_args_is_help=True)(search_schedule)
app.command("import-checkpoint", no_args_is_help=True)(import_checkpoint)
benchmark.command("train", no_args_is_help=True)(benchmark_train)
benchmark.command("peers", no_args_is_help=True)(benchmark_peers)
app.add_typer(benchmark, name="benchmark")


def _version(asked: bool | None) -> None:
    if asked:
        from wavegrad import __version__

        typer.echo(f"wavegrad {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = None,
) -> None:
    """What every command shares."""


def main() -> None:
    """Exit codes: 0 done, 2 the user's mistake or a place that cannot be written (one line, no traceback), 1 ours; 141
    as of any command whose output nobody reads any more."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal's encoding lacks are no reason to stop
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except WavegradError as error:
        print(f"wavegrad: error: {error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer has met it
            _nobody_reads()
        raise
    except BrokenPipeError:
        _nobody_reads()
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        where = error.filename or "output"
        print(f"wavegrad: error: {where}: {error.strerror}; {REMEDIES[error.errno]}", file=sys.stderr)
        sys.exit(2)


def _nobody_reads() -> None:
    """End without a word, with the exit code of SIGPIPE."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())  # or the interpreter would try again at its end
    sys.exit(128 + 13)
