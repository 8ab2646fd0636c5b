"""Options that several commands share."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad.errors import ConfigError

if TYPE_CHECKING:
    import torch

Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto: the GPU if there is one.")
]
Model = Annotated[
    str | None,
    typer.Option(help="Model directory, name of a shipped model, or Hugging Face id; left out: the default model."),
]
Seed = Annotated[int, typer.Option(help="Seed of the noise; the same seed gives the same audio.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; left out: PyTorch's choice.", min=1)]


def choose_device(name: str) -> "torch.device":
    """The device of that name. ConfigError for "cuda" without a GPU."""
    import torch

    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: PyTorch sees no GPU here; use cpu or auto")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def set_threads(n: int | None) -> None:
    """Use `n` CPU threads, where a number is given."""
    import torch

    if n is not None:
        torch.set_num_threads(n)
