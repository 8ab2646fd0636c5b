"""`wavegrad vocode`: mels, or audio through its mel, to audio."""

import sys
import time
import warnings
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad.cli.files import AUDIO, MELS, Job, not_all_done, plan, still_to_do
from wavegrad.cli.long_files import Terminated, is_long, seconds_of, vocode_long
from wavegrad.cli.options import Device, Model, Seed, Threads, read_schedule, set_threads
from wavegrad.cli.together import Together, groups_of_similar_length
from wavegrad.errors import ConfigError, WavegradError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from tqdm import tqdm

    from wavegrad.diffusion import Sampler
    from wavegrad.diffusion.schedule import NoiseSchedule
    from wavegrad.vocoder import Vocoder


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
    guidance: Annotated[
        float, typer.Option(help="Weight of classifier-free guidance; 0: the plain model, at half the time.")
    ] = 0.0,
    device: Device = "auto",
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(help="Precision of the network; the waveform stays float32."),
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
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Do again what is done.")] = False,
) -> None:
    """Turn mel spectrograms into audio, or audio into audio through its mel.

    One bad file is reported and does not stop the others; the exit code is 2 then. More than 30 s of audio are made as
    a stream, in memory that does not grow (by ancestral, ddim, dpm++1s, dpm++2m); Ctrl-C then leaves a shorter file.
    """
    if steps is not None and schedule is not None:
        raise ConfigError("--steps and --schedule exclude each other: a schedule has its number of steps")
    suffix = out.suffix.lower() if out.suffix.lower() in (".wav", ".flac") else f".{audio_format}"
    if subtype == "FLOAT" and suffix == ".flac":
        raise ConfigError("FLAC has no float samples; use --subtype PCM_24, or --format wav")
    jobs = still_to_do(plan(inputs, out, AUDIO + MELS, suffix), overwrite)
    if not jobs:
        return
    set_threads(threads)
    from wavegrad.binding import check_guidance
    from wavegrad.device import choose_device
    from wavegrad.vocoder import Vocoder

    vocoder = Vocoder.from_pretrained(model).to(choose_device(device))
    chosen = vocoder.find_schedule(read_schedule(schedule, steps))
    check_guidance(vocoder.network, guidance)
    walk = _sampler(sampler, variance, eta, chosen.n_steps)
    if batch > 1 and not walk.is_local:
        raise ConfigError(f"--batch {batch}: {walk} looks at whole files; leave --batch out, or use another sampler")
    _vocode_all(jobs, vocoder, chosen, seed, walk, guidance, dtype, subtype, batch)


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


def _vocode_all(
    jobs: list[Job],
    vocoder: "Vocoder",
    schedule: "NoiseSchedule",
    seed: int,
    sampler: "Sampler",
    guidance: float,
    dtype: Literal["float32", "bfloat16", "float16"],
    subtype: Literal["PCM_16", "PCM_24", "FLOAT"],
    batch: int,
) -> None:
    """Work off the jobs under a progress bar, then say how it went."""
    from tqdm import tqdm

    from wavegrad.audio.io import write_audio
    from wavegrad.inference.streaming import is_linear

    streams = guidance == 0 and is_linear(sampler)
    on_cpu = vocoder.device.type == "cpu"  # a GPU does all steps at once
    length = cache(partial(seconds_of, vocoder=vocoder))
    together = None
    if batch > 1:
        short = [job for job in jobs if not (streams and is_long(length(job.source)))]
        groups = groups_of_similar_length(short, length, batch)
        synthesise = partial(vocoder.batch, schedule=schedule, sampler=sampler, guidance=guidance, precision=dtype)
        together = Together(groups, partial(_mel_of, vocoder=vocoder), lambda m: synthesise(m, seed=[seed] * len(m)))
    seconds_of_audio = seconds_taken = 0.0
    failures = 0
    with tqdm(total=len(jobs) * schedule.n_steps, unit="step", dynamic_ncols=True) as bar:
        for i, job in enumerate(jobs):
            bar.set_description(job.source.name)
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    began = time.perf_counter()
                    if streams and is_long(length(job.source)):
                        n_made = _stream_to_file(job, vocoder, schedule, seed, sampler, dtype, subtype, bar)
                        seconds_of_audio += n_made / vocoder.sample_rate
                        seconds_taken += time.perf_counter() - began
                        bar.update(schedule.n_steps)
                        _report(job, caught, bar)
                        continue
                    if together is not None:
                        waveform = together(job).cpu()
                        bar.update(schedule.n_steps)
                    else:
                        mel, n_samples = _mel_of(job.source, vocoder)
                        began = time.perf_counter()
                        waveform = vocoder(
                            mel,
                            schedule,
                            seed,
                            length=n_samples,
                            sampler=sampler,
                            guidance=guidance,
                            precision=dtype,
                            on_step=(lambda n, y: bar.update() and None) if on_cpu else None,
                        ).cpu()  # waits for the device
                        bar.update(0 if on_cpu else schedule.n_steps)
                    seconds_taken += time.perf_counter() - began
                    job.target.parent.mkdir(parents=True, exist_ok=True)
                    write_audio(job.target, waveform, vocoder.sample_rate, subtype)
                seconds_of_audio += len(waveform) / vocoder.sample_rate
                _report(job, caught, bar)
            except WavegradError as error:
                failures += 1
                bar.write(f"{job.source}: {error}", file=sys.stderr)
                bar.n = (i + 1) * schedule.n_steps
    done = len(jobs) - failures
    factor = f"{seconds_taken / seconds_of_audio:.3f}" if seconds_of_audio else "-"
    files = "1 file" if done == 1 else f"{done} files"
    typer.echo(f"{files}, {seconds_of_audio:.2f} s of audio, real-time factor {factor}")
    not_all_done(failures)


def _stream_to_file(
    job: Job,
    vocoder: "Vocoder",
    schedule: "NoiseSchedule",
    seed: int,
    sampler: "Sampler",
    dtype: Literal["float32", "bfloat16", "float16"],
    subtype: Literal["PCM_16", "PCM_24", "FLOAT"],
    bar: "tqdm[None]",
) -> int:
    """Synthesise a long file piece by piece; the samples written. An interruption keeps them, and ends the command."""
    seconds = 0.0

    def show(so_far: float) -> None:
        nonlocal seconds
        seconds = so_far
        bar.set_postfix_str(f"{seconds:.0f} s")

    stream = partial(vocoder.stream, schedule=schedule, seed=seed, sampler=sampler, precision=dtype)
    try:
        return vocode_long(job, vocoder, stream, subtype, show)
    except KeyboardInterrupt as interrupt:
        bar.write(
            f"interrupted: {job.target} holds the first {seconds:.2f} s; --overwrite does it again"
            if seconds
            else f"interrupted: nothing of {job.target} was done",
            file=sys.stderr,
        )
        raise typer.Exit(143 if isinstance(interrupt, Terminated) else 130) from None


def _report(job: Job, caught: "list[warnings.WarningMessage]", bar: "tqdm[None]") -> None:
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        bar.write(f"{job.source}: {message}", file=sys.stderr)


def _mel_of(path: Path, vocoder: "Vocoder") -> "tuple[Float[Tensor, 'n_mels frames'], int | None]":
    """The mel of a file, and the length of its audio where it has one."""
    import torch.nn.functional as F

    from wavegrad.audio.io import read_audio
    from wavegrad.audio.mel_file import read_mel

    if path.suffix.lower() in MELS:
        return read_mel(path, vocoder.n_mels), None
    waveform, _ = read_audio(path, vocoder.sample_rate)
    return vocoder.mel(F.pad(waveform, (0, -len(waveform) % vocoder.hop_length))), len(waveform)
