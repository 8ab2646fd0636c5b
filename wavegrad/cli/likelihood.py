"""`wavegrad likelihood`: recordings, ranked by how natural a model finds them."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad import atomic
from wavegrad.cli.files import find, not_all_done
from wavegrad.cli.options import Device, Model, Seed, Threads, read_schedule, set_threads
from wavegrad.errors import AudioError, ConfigError, WavegradError
from wavegrad.suffixes import AUDIO

if TYPE_CHECKING:
    from wavegrad.clip_likelihood import ClipLikelihood


def likelihood(
    inputs: Annotated[list[str], typer.Argument(help="Recordings: audio files, folders, globs.")],
    model: Model = None,
    method: Annotated[
        Literal["bound", "ode"],
        typer.Option(
            help="bound: variational, a network call a level; ode: probability flow, some five times as dear."
        ),
    ] = "bound",
    steps: Annotated[int | None, typer.Option(help="Noise levels; left out: 50.", min=1)] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Noise schedule: a name (`wavegrad models` lists them) or a JSON file.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file for every figure of every clip.")] = None,
) -> None:
    """Rank recordings by how natural the model finds them, given their mels: bits per sample, the fewest first.

    The ranking is of the waveform whitened by the model's prior, whose bits do not depend on how loud a clip is; those
    of the waveform itself stand beside it.
    """
    if steps is not None and schedule is not None:
        raise ConfigError("--steps and --schedule exclude each other: a schedule has its number of steps")
    if out is not None and not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")
    paths = [path for path, _ in find(inputs, AUDIO)]
    set_threads(threads)
    from tqdm import tqdm

    from wavegrad.audio.io import read_audio
    from wavegrad.clip_likelihood import clip_likelihood
    from wavegrad.device import choose_device
    from wavegrad.vocoder import Vocoder

    vocoder = Vocoder.from_pretrained(model).to(choose_device(device))
    chosen = vocoder.find_schedule(read_schedule(schedule, steps) or 50)
    found: dict[str, ClipLikelihood] = {}
    failures = 0
    for path in tqdm(paths, unit="clip", dynamic_ncols=True):
        try:
            waveform, _ = read_audio(path, vocoder.sample_rate)
            found[str(path)] = clip_likelihood(vocoder, waveform, chosen, seed, method)
        except WavegradError as error:
            failures += 1
            tqdm.write(f"{path}: {error}", file=sys.stderr)
    if not found:
        raise AudioError("no clip could be judged")
    ranked = sorted(found, key=lambda name: found[name].whitened)
    typer.echo("| bits/sample, whitened | bits/sample, waveform | seconds | clip |\n| ---: | ---: | ---: | --- |")
    for name in ranked:
        clip = found[name]
        seconds = clip.n_samples / vocoder.sample_rate
        typer.echo(f"| {clip.whitened:.4f} | {clip.waveform:.4f} | {seconds:.2f} | {name} |")
    if out is not None:
        _write_json(out, {name: found[name] for name in ranked}, chosen.noise_levels.tolist()[1:])
    not_all_done(failures)


def _write_json(out: Path, found: "dict[str, ClipLikelihood]", levels: list[float]) -> None:
    """Whole or not at all."""
    clips = {name: vars(clip) | {"waveform": clip.waveform} for name, clip in found.items()}
    atomic.write_text(out, json.dumps({"noise_levels": levels, "clips": clips}, indent=1) + "\n")
