"""`wavegrad export`: a model for other runtimes."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad import atomic
from wavegrad.cli.options import GriffinLim, Model, read_schedule
from wavegrad.errors import ConfigError

if TYPE_CHECKING:
    from wavegrad.vocoder import Vocoder


def export(
    onnx: Annotated[Path | None, typer.Option(help="ONNX file to write.")] = None,
    program: Annotated[Path | None, typer.Option(help="torch.export program (.pt2) of the network to write.")] = None,
    part: Annotated[
        Literal["sampler", "network"],
        typer.Option(
            help="Of the ONNX file: mel and noise to audio, all steps and Griffin-Lim; or a single call of the network."
        ),
    ] = "sampler",
    model: Model = None,
    steps: Annotated[int | None, typer.Option(help="Refinement steps of the sampler.", min=1)] = None,
    schedule: Annotated[str | None, typer.Option(help="Its noise schedule: a name or a JSON file.")] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="Way of refining: ancestral (variance posterior or beta), ddim:eta=0.5, dpm++1s, dpm++2m; left out: "
            "by number of steps, as vocode does."
        ),
    ] = None,
    griffin_lim: GriffinLim = None,
) -> None:
    """Write a model for onnxruntime, or for what reads torch.export programs. Any batch, any length.

    Needs the extra for ONNX: pip install 'wavegrad-vocoder[onnx]'.
    """
    targets = [path for path in (onnx, program) if path is not None]
    if not targets:
        raise ConfigError("nothing to write; name a file with --onnx or --program")
    if steps is not None and schedule is not None:
        raise ConfigError("--steps and --schedule exclude each other: a schedule has its number of steps")
    is_network = onnx is None or part == "network"
    for option, value in (("--steps", steps), ("--schedule", schedule), ("--sampler", sampler)):
        if value is not None and is_network:
            raise ConfigError(f"{option} is for ONNX files of the sampler; the network alone has no steps")
    if griffin_lim is not None and is_network:
        raise ConfigError("--griffin-lim is for ONNX files of the sampler; the network alone has no iterations")
    if onnx is not None and importlib.util.find_spec("onnx") is None:
        raise ConfigError("onnx not installed; pip install 'wavegrad-vocoder[onnx]'")
    for path in targets:
        if not path.resolve().parent.is_dir():
            raise ConfigError(f"{path}: there is no folder {path.parent}")
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; name the file to write")
    from wavegrad.vocoder import Vocoder

    vocoder = Vocoder.from_pretrained(model)
    if onnx is not None:
        from wavegrad.export.onnx import network_step, synthesis

        if part == "network":
            content = network_step(vocoder)
        else:
            content = synthesis(vocoder, read_schedule(schedule, steps), griffin_lim, sampler)
        _write_onnx(onnx, part, content)
    if program is not None:
        _write_program(program, vocoder)


def _write_onnx(path: Path, part: str, content: bytes) -> None:
    atomic.write_bytes(path, content)
    typer.echo(f"{path}: {part}, {len(content) / 1e6:.1f} MB")


def _write_program(path: Path, vocoder: "Vocoder") -> None:
    import torch

    from wavegrad.export.program import network_program

    program = network_program(vocoder.network)
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        torch.export.save(program, file)  # given a name, it says with a RuntimeError that it cannot write
    typer.echo(f"{path}: network, {path.stat().st_size / 1e6:.1f} MB")
