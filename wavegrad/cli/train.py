"""`wavegrad train`: train, or go on training."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from wavegrad.cli.options import use_large_pages


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe file, for example recipes/small-24k.toml.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder of audio files, searched at any depth; with data.shards, of shards, or a list of them."
        ),
    ],
    run: Annotated[
        Path, typer.Option("--run-dir", help="Folder for checkpoints, log and the best model; the same one resumes.")
    ],
    valid: Annotated[
        Path | None, typer.Option(help="Folder of validation clips; left out: some of the data are held out.")
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--init-from", help="Fine-tune, or widen: start from this model (a name or a directory).", metavar="MODEL"
        ),
    ] = None,
    mels: Annotated[
        Path | None,
        typer.Option(help="Folder of NAME.npy or NAME.pt to train on instead of the recordings' mels: predicted ones."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key of the recipe; may be repeated.", metavar="SECTION.KEY=VALUE"),
    ] = None,
) -> None:
    """Train a vocoder by a recipe.

    On several GPUs: torchrun --nproc-per-node N -m wavegrad train RECIPE ... ; batch_size is that of all together.
    Ctrl-C (or a TERM signal) saves and stops; the same command goes on from there.
    """
    use_large_pages()
    from tqdm import tqdm

    from wavegrad.training import load_recipe
    from wavegrad.training import train as run_training

    outcome = run_training(load_recipe(recipe, overrides), data, run, valid, tqdm.write, start=start, mels=mels)
    if outcome.finished:
        typer.echo(f"listen: wavegrad vocode AUDIO --model {quote(str(run / 'best'))} --out DIR")
