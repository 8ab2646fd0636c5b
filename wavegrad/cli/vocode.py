"""`wavegrad vocode`: mels, or audio through its mel, to audio."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad.cli.chunks import Chunks
from wavegrad.cli.files import plan, still_to_do
from wavegrad.cli.options import Device, GriffinLim, Model, Seed, Threads, read_precisions, read_schedule, set_threads
from wavegrad.cli.synthesizer import Synthesizer
from wavegrad.cli.vocode_files import vocode_files
from wavegrad.errors import ConfigError
from wavegrad.suffixes import AUDIO, MELS

if TYPE_CHECKING:
    from wavegrad.diffusion import Sampler


def vocode(
    inputs: Annotated[list[str], typer.Argument(help="Audio (copy synthesis), .npy or .pt mels, folders, globs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder, or a file name where there is a single input.")],
    model: Model = None,
    steps: Annotated[int | None, typer.Option(help="Refinement steps; left out: the model's default.", min=1)] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Noise schedule: a name (`wavegrad models` lists them) or a JSON file.")
    ] = None,
    seed: Seed = 0,
    sampler: Annotated[
        str | None,
        typer.Option(help="Way of refining: ancestral, ddim:eta=0.5, dpm++2m, ...; left out: by number of steps."),
    ] = None,
    variance: Annotated[
        Literal["posterior", "beta", "analytic", "learned"] | None,
        typer.Option(help="Ancestral sampler with this variance of the noise that each step adds."),
    ] = None,
    eta: Annotated[
        float | None, typer.Option(help="Ddim with this share of the ancestral noise.", min=0, max=1)
    ] = None,
    griffin_lim: GriffinLim = None,
    guidance: Annotated[
        float, typer.Option(help="Weight of classifier-free guidance; 0: the plain model, at half the time.")
    ] = 0.0,
    device: Device = "auto",
    dtype: Annotated[
        str,
        typer.Option(
            help="Precision of the network: float32, bfloat16, auto (bfloat16 where the device has units for it, else "
            "float32), float16, or int8 on CPUs with VNNI or AMX, but for streams. The waveform stays float32."
        ),
    ] = "float32",
    audio_format: Annotated[
        Literal["wav", "flac"], typer.Option("--format", help="Format of the files written into a folder.")
    ] = "wav",
    subtype: Annotated[
        Literal["PCM_16", "PCM_24", "FLOAT"], typer.Option(help="Sample format; FLOAT never clips, for wav only.")
    ] = "PCM_16",
    batch: Annotated[
        int, typer.Option(help="Files at once, of similar length: for a GPU. Each sounds as it does alone.", min=1)
    ] = 1,
    lookahead_frames: Annotated[
        int | None,
        typer.Option(
            help="Stream, and let audio wait for this many frames of mel at most: sooner, not as good.", min=0
        ),
    ] = None,
    chunk_frames: Annotated[int, typer.Option(help="With --lookahead-frames: frames that come at a time.", min=1)] = 8,
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
) -> None:
    """Turn mel spectrograms into audio, or audio into audio through its mel.

    One bad file is reported and does not stop the others; the exit code is 2 then. More than 30 s of audio are made as
    a stream, in memory that does not grow (by ancestral, ddim, dpm++1s, dpm++2m); Ctrl-C then leaves a shorter file.
    """
    if steps is not None and schedule is not None:
        raise ConfigError("--steps and --schedule exclude each other: a schedule has its number of steps")
    (precision,) = read_precisions([dtype], device)
    suffix = out.suffix.lower() if out.suffix.lower() in (".wav", ".flac") else f".{audio_format}"
    if subtype == "FLOAT" and suffix == ".flac":
        raise ConfigError("FLAC has no float samples; use --subtype PCM_24, or --format wav")
    jobs = still_to_do(plan(inputs, out, AUDIO + MELS, suffix), overwrite)
    if not jobs:
        return
    set_threads(threads)
    from wavegrad.binding import check_guidance
    from wavegrad.device import choose_device
    from wavegrad.inference import check_int8, keep_freed_memory
    from wavegrad.vocoder import Vocoder

    keep_freed_memory()

    vocoder = Vocoder.from_pretrained(model).to(choose_device(device))
    if precision == "int8":
        check_int8(vocoder.device)
    chosen = vocoder.find_schedule(read_schedule(schedule, steps))
    check_guidance(vocoder.network, guidance)
    walk = _sampler(sampler, variance, eta, chosen.n_steps)
    if batch > 1 and not walk.is_local:
        raise ConfigError(f"--batch {batch}: {walk} looks at whole files; leave --batch out, or use another sampler")
    chunks = Chunks() if lookahead_frames is None else Chunks(chunk_frames, lookahead_frames)
    synthesizer = Synthesizer(vocoder, chosen, seed, walk, guidance, precision, griffin_lim, chunks)
    if lookahead_frames is not None and (batch > 1 or not synthesizer.can_stream):
        raise ConfigError("--lookahead-frames streams file by file; leave --batch, --guidance and --sampler out")
    vocode_files(jobs, synthesizer, subtype, batch)


def _sampler(
    name: str | None,
    variance: Literal["posterior", "beta", "analytic", "learned"] | None,
    eta: float | None,
    n_steps: int,
) -> "Sampler":
    from wavegrad.diffusion import choose_sampler

    if eta is not None:
        if variance is not None or name not in (None, "ddim"):
            raise ConfigError("--eta is for ddim alone; leave out --variance, and other samplers")
        name = f"ddim:eta={eta}"
    return choose_sampler(name, variance, n_steps)
