"""Options that several commands share."""

from typing import Annotated, Literal

import typer

Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto: the GPU if there is one.")
]
Model = Annotated[
    str | None,
    typer.Option(help="Model directory, name of a shipped model, or Hugging Face id; left out: the default model."),
]
Seed = Annotated[int, typer.Option(help="Seed of the noise; the same seed gives the same audio.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; left out: PyTorch's choice.", min=1)]


def set_threads(n: int | None) -> None:
    """Use `n` CPU threads, where a number is given."""
    import torch

    if n is not None:
        torch.set_num_threads(n)
