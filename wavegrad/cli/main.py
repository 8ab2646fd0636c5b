"""The command `wavegrad`."""

import errno
import os
import sys
from typing import Annotated

import typer

from wavegrad.cli.benchmark import benchmark
from wavegrad.cli.benchmark_train import benchmark_train
from wavegrad.cli.compare_mels import compare_mels
from wavegrad.cli.evaluate import evaluate
from wavegrad.cli.export import export
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
    """Exit codes: 0 done, 2 the user's mistake or a full disk (one line, no traceback), 1 ours."""
    try:
        app()
    except WavegradError as error:
        print(f"wavegrad: error: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # whoever read the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would try again at its end
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"wavegrad: error: {error.filename or 'output'}: {error.strerror}; free some space", file=sys.stderr)
        sys.exit(2)
