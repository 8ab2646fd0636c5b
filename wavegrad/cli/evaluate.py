"""`wavegrad evaluate`: copy synthesis of recordings, measured."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad.cli.files import AUDIO, plan
from wavegrad.cli.options import Device, Model, Seed, Threads, set_threads
from wavegrad.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.vocoder import Vocoder


def evaluate(
    data: Annotated[list[str], typer.Argument(help="Recordings: audio files, folders, globs.")],
    model: Model = None,
    steps: Annotated[str, typer.Option(help="Numbers of refinement steps, with commas between them.")] = "6,25,50",
    limit: Annotated[int | None, typer.Option(help="Only this many clips, evenly spread.", min=1)] = None,
    seed: Seed = 0,
    device: Device = "auto",
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="JSON file for every figure of every clip.")] = None,
) -> None:
    """Resynthesise recordings and compare: log-mel distance, PESQ-WB, STOI, level of silence, real-time factor.

    Griffin-Lim on the same mels is always the last row. Needs the extra: pip install 'wavegrad-vocoder[eval]'.
    """
    counts = _counts(steps)
    set_threads(threads)
    from wavegrad.audio.io import read_audio
    from wavegrad.device import choose_device
    from wavegrad.evaluation import evaluate_clip, markdown_table
    from wavegrad.vocoder import Vocoder

    vocoder = Vocoder.from_pretrained(model).to(choose_device(device))
    paths = [job.source for job in plan(data, Path("unused"), AUDIO, ".wav")]
    paths = paths if limit is None else paths[:: max(1, len(paths) // limit)][:limit]
    table: dict[str, list[dict[str, float]]] = {}
    from tqdm import tqdm

    for path in tqdm(paths, unit="clip", dynamic_ncols=True):
        try:
            reference, _ = read_audio(path, vocoder.sample_rate)
            for name, generated, seconds in _systems(reference, vocoder, counts, seed):
                figures = evaluate_clip(reference, generated, vocoder.sample_rate)
                figures["rtf"] = seconds * vocoder.sample_rate / len(reference)
                table.setdefault(name, []).append(figures)
        except AudioError as error:
            tqdm.write(f"{path}: {error}")
    if not table:
        raise AudioError("no clip could be evaluated")
    typer.echo(markdown_table(table))
    if out is not None:
        out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _counts(steps: str) -> list[int]:
    try:
        return [int(n) for n in steps.split(",")]
    except ValueError:
        raise ConfigError(f"--steps is {steps!r}; whole numbers with commas between them are expected") from None


def _systems(
    reference: "Float[Tensor, ' time']", vocoder: "Vocoder", counts: list[int], seed: int
) -> "list[tuple[str, Float[Tensor, ' time'], float]]":
    """(name, audio, seconds it took) of each system for one clip."""
    import torch.nn.functional as F

    from wavegrad.evaluation import griffin_lim

    results = []
    for n in counts:
        began = time.perf_counter()
        generated = vocoder.resynthesize(reference, n, seed).cpu()
        results.append((f"{n} steps", generated, time.perf_counter() - began))
    began = time.perf_counter()
    mel = vocoder.mel(F.pad(reference, (0, -len(reference) % vocoder.hop_length))).cpu()
    baseline = griffin_lim(mel, vocoder.mel_config)[: len(reference)]
    return [*results, ("Griffin-Lim", baseline, time.perf_counter() - began)]
