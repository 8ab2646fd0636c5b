"""`wavegrad evaluate`: copy synthesis of recordings, measured."""

import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad.cli.files import AUDIO, find, not_all_done
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

    Griffin-Lim on the same mels is always the last row, and every row is about the same clips: one that a metric cannot
    judge is reported and left out of all of them. Needs the extra: pip install 'wavegrad-vocoder[eval]'.
    """
    counts = _counts(steps)
    _check_extra()
    if out is not None and not out.resolve().parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}")
    paths = [path for path, _ in find(data, AUDIO)]
    n = len(paths) if limit is None else min(limit, len(paths))
    paths = [paths[i * len(paths) // n] for i in range(n)]
    set_threads(threads)
    from tqdm import tqdm

    from wavegrad.device import choose_device
    from wavegrad.evaluation import markdown_table
    from wavegrad.vocoder import Vocoder

    vocoder = Vocoder.from_pretrained(model).to(choose_device(device))
    table: dict[str, list[dict[str, float]]] = {}
    failures = 0
    for path in tqdm(paths, unit="clip", dynamic_ncols=True):
        try:
            for name, figures in _figures(path, vocoder, counts, seed).items():
                table.setdefault(name, []).append(figures)
        except AudioError as error:
            failures += 1
            tqdm.write(f"{path}: {error}", file=sys.stderr)
    if not table:
        raise AudioError("no clip could be evaluated")
    typer.echo(markdown_table(table))
    if out is not None:
        _write_json(out, table)
    not_all_done(failures)


def _check_extra() -> None:
    """Say so before hours of synthesis, where the metrics are not installed."""
    missing = [name for name in ("librosa", "pesq", "pystoi") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not installed; pip install 'wavegrad-vocoder[eval]'")


def _counts(steps: str) -> list[int]:
    try:
        return [int(n) for n in steps.split(",")]
    except ValueError:
        raise ConfigError(f"--steps is {steps!r}; whole numbers with commas between them are expected") from None


def _write_json(out: Path, table: dict[str, list[dict[str, float]]]) -> None:
    """Whole or not at all; what is no number (no silence in the clip) is null."""
    rows = {
        name: [{key: value if math.isfinite(value) else None for key, value in clip.items()} for clip in clips]
        for name, clips in table.items()
    }
    temporary = out.with_name(out.name + ".part")
    temporary.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    os.replace(temporary, out)


def _figures(path: Path, vocoder: "Vocoder", counts: list[int], seed: int) -> dict[str, dict[str, float]]:
    """All figures of each system for one clip; AudioError if one of them cannot be had."""
    from wavegrad.audio.io import read_audio
    from wavegrad.evaluation import evaluate_clip

    reference, rate = read_audio(path, vocoder.sample_rate)
    figures = {}
    for name, generated, seconds in _systems(reference, vocoder, counts, seed):
        figures[name] = evaluate_clip(reference, generated, rate) | {"rtf": seconds * rate / len(reference)}
    return figures


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
