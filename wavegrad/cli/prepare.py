"""`wavegrad prepare`: a corpus, fetched and made ready for training."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Literal

import typer

from wavegrad.errors import ConfigError


def prepare(
    corpus: Annotated[Literal["ljspeech", "libritts", "vctk", "hifitts", "folder"], typer.Argument(help="Which one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for train/, valid/, test/ and manifest.jsonl.")],
    source: Annotated[
        Path | None,
        typer.Option(help="Folder that holds the unpacked corpus; left out: it is downloaded (not for `folder`)."),
    ] = None,
    downloads: Annotated[
        Path | None, typer.Option(help="Folder for archives and what is unpacked; left out: OUT/downloads.")
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            help="Parts of libritts with commas between them, as train-clean-100,dev-clean; left out: all clean ones."
        ),
    ] = None,
    sample_rate: Annotated[int, typer.Option(help="Hz.", min=1)] = 24000,
    valid_share: Annotated[
        float, typer.Option(help="Share that validates, and that tests, where no split is published.")
    ] = 0.01,
    min_seconds: Annotated[float, typer.Option(help="Shorter recordings are left out.")] = 0.3,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    shards: Annotated[
        int | None,
        typer.Option(help="Also write the training clips as this many WebDataset tar files, OUT/shards/*.tar.", min=1),
    ] = None,
) -> None:
    """Download a corpus, check and unpack it; write mono FLAC at one rate, split, with a manifest.

    The same command goes on where it was interrupted. Then: wavegrad train RECIPE --data OUT/train --valid OUT/valid
    """
    from tqdm import tqdm

    from wavegrad.corpora import CORPORA, PrepareConfig, fetch_unpacked
    from wavegrad.corpora import prepare as prepare_recordings
    from wavegrad.corpora.known import parts_of
    from wavegrad.corpora.shards import write_shards

    chosen = CORPORA[corpus]
    config = PrepareConfig(sample_rate, valid_share, min_seconds)
    names = parts_of(chosen, tuple(parts.split(",")) if parts else ())
    if source is None:
        if not chosen.parts:
            raise ConfigError("a folder of your own needs --source FOLDER")
        folder = downloads or out / "downloads"
        roots = [fetch_unpacked(chosen.parts[name], folder, typer.echo) for name in names]
    elif source.is_dir():
        roots = [source]
    else:
        raise ConfigError(f"{source} is not a folder")
    if chosen.parts:
        typer.echo(chosen.source)
    found = (recording for root in roots for recording in chosen.find(root))
    made = prepare_recordings(found, out, config, tqdm.write, workers)
    for split in ("train", "valid", "test"):
        typer.echo(f"{split}: {_amount([p.seconds for p in made if p.split == split])}")
    data, key = out / "train", ""
    if shards is not None:
        paths = write_shards([p for p in made if p.split == "train"], out, out / "shards", shards)
        typer.echo(f"{len(paths)} shards")
        data, key = out / "shards", " --set data.shards=true"
    valid = quote(str(out / "valid")) if any(p.split == "valid" for p in made) else "DIR" if shards else None
    folders = f"--data {quote(str(data))}" + (f" --valid {valid}" if valid else "")
    typer.echo(f"next: wavegrad train RECIPE {folders} --run-dir RUN{key}")


def _amount(seconds: list[float]) -> str:
    """Clips and how long they are together."""
    total = sum(seconds)
    return f"{len(seconds)} clips, {f'{total / 3600:.2f} h' if total >= 3600 else f'{total / 60:.1f} min'}"
