"""Options that several commands share."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from wavegrad.device import Precision
    from wavegrad.diffusion.schedule import NoiseSchedule

Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto: the GPU if there is one.")
]
Model = Annotated[
    str | None,
    typer.Option(help="Model directory, name of a shipped model, or Hugging Face id; left out: the default model."),
]
Seed = Annotated[int, typer.Option(help="Seed of the noise; the same seed gives the same audio.")]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads; left out: PyTorch's choice, all cores. Commands at once want a share each.", min=1),
]

GriffinLim = Annotated[
    int | None,
    typer.Option(
        help="Iterations after the refinement that bring the audio to the mel; 0: the network alone; left out: the "
        "model's number.",
        min=0,
    ),
]


def read_precisions(names: Sequence[str], device: str) -> "tuple[Precision, ...]":
    """The precisions of those names, each once; "auto" becomes the one that `choose_precision` takes on that device.

    Raises:
        ConfigError: there is none of a name, or no such device.
    """
    from wavegrad.device import choose_device, choose_precision

    where = choose_device(device)
    return tuple(dict.fromkeys(choose_precision(name, where) for name in names))


def use_large_pages() -> None:
    """Let PyTorch take its memory from Linux in pages of 2 MB, which a training step is quicker with, unless the
    environment says otherwise. Before PyTorch is imported, which looks once."""
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


def set_threads(n: int | None) -> None:
    """Use `n` CPU threads, where a number is given."""
    import torch

    if n is not None:
        torch.set_num_threads(n)


def read_schedule(name_or_file: str | None, steps: int | None) -> "NoiseSchedule | str | int | None":
    """What `Vocoder.find_schedule` takes, from --schedule and --steps."""
    from wavegrad.diffusion.schedule import NoiseSchedule

    if name_or_file is not None and (name_or_file.endswith(".json") or Path(name_or_file).is_file()):
        return NoiseSchedule.load(name_or_file)
    return name_or_file if name_or_file is not None else steps
