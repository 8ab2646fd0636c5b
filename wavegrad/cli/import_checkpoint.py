"""`wavegrad import-checkpoint`: models of other implementations."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def import_checkpoint(
    file: Annotated[Path, typer.Argument(help="Checkpoint file, as torch.save wrote it; no code in it is run.")],
    layout: Annotated[
        Literal["lmnt", "ivanvovk"], typer.Option("--from", help="lmnt-com/wavegrad or ivanvovk/WaveGrad.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Model directory to write.")],
    config: Annotated[
        Path | None, typer.Option(help="ivanvovk only: the JSON configuration of the training; else the published one.")
    ] = None,
    factors: Annotated[
        str | None, typer.Option(help="Upsampling factors, for example 5,5,3,2,2, if not the published ones.")
    ] = None,
) -> None:
    """Make a model directory of a checkpoint of another WaveGrad implementation."""
    from wavegrad.checkpoint import save_model
    from wavegrad.checkpoint.importers import import_checkpoint as read
    from wavegrad.errors import ConfigError

    try:
        numbers = None if factors is None else tuple(int(f) for f in factors.split(","))
    except ValueError:
        raise ConfigError(f"--factors is {factors!r}; whole numbers with commas between them are expected") from None
    model = read(file, layout, config, numbers)
    save_model(model, out)
    c = model.mel_config
    schedules = ", ".join(model.schedules)
    typer.echo(f"{out}: {c.sample_rate} Hz, {c.n_mels} bands, hop {c.hop_length}, schedules {schedules}")
