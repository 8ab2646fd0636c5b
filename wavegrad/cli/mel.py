"""`wavegrad mel`: audio to mels."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from wavegrad.cli.files import not_all_done, plan, still_to_do
from wavegrad.cli.options import Model
from wavegrad.errors import ConfigError, WavegradError
from wavegrad.suffixes import AUDIO


def mel(
    inputs: Annotated[list[str], typer.Argument(help="Audio files, folders, globs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder, or a .npy file where there is a single input.")],
    model: Model = None,
    preset: Annotated[
        str | None, typer.Option(help="Mel preset instead of a model's front-end, for example hifigan-22k.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
) -> None:
    """Write the mel spectrogram of audio as float32 .npy of shape (n_mels, frames).

    The audio is mixed down and resampled to the rate of the front-end.
    """
    if preset is not None and model is not None:
        raise ConfigError("--preset and --model exclude each other: a model has its own front-end")
    jobs = still_to_do(plan(inputs, out, AUDIO, ".npy"), overwrite)
    if not jobs:
        return
    from tqdm import tqdm

    from wavegrad.audio import MelSpectrogram, mel_preset, read_audio
    from wavegrad.audio.mel_file import write_mel
    from wavegrad.checkpoint import load_config, resolve_model

    config = mel_preset(preset) if preset is not None else load_config(resolve_model(model)).mel
    front_end = MelSpectrogram(config)
    failures = 0
    for job in tqdm(jobs, unit="file", dynamic_ncols=True):
        try:
            waveform, _ = read_audio(job.source, config.sample_rate)
            write_mel(job.target, front_end(waveform[None])[0])
        except WavegradError as error:
            failures += 1
            tqdm.write(f"{job.source}: {error}", file=sys.stderr)
    typer.echo(f"{len(jobs) - failures} mels: {config.n_mels} bands, {config.sample_rate} Hz, hop {config.hop_length}")
    not_all_done(failures)
