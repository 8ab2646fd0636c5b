"""`wavegrad evaluate`: systems side by side on the same recordings."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad.cli.options import Device, Seed, Threads, read_precisions, set_threads
from wavegrad.errors import ConfigError

if TYPE_CHECKING:
    from wavegrad.audio.mel import MelConfig
    from wavegrad.cli.evaluated import Synthesis
    from wavegrad.evaluation import Candidate, Evaluation, EvaluationOptions


def evaluate(
    reference: Annotated[Path, typer.Option(help="Folder of recordings.")],
    report: Annotated[Path, typer.Option(help="Folder for report.html, metrics.csv, summary.json and the audio.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Model to resynthesise with, by name, directory or Hugging Face id; may be repeated."),
    ] = None,
    steps: Annotated[
        str | None, typer.Option(help="Numbers of refinement steps for every model, with commas between them.")
    ] = None,
    schedule: Annotated[
        list[str] | None, typer.Option(help="Noise schedule for every model: a name or a JSON file; may be repeated.")
    ] = None,
    sampler: Annotated[
        list[str] | None,
        typer.Option(help="Way of refining for every model: ancestral, ddim:eta=0.5, dpm++2m, ...; may be repeated."),
    ] = None,
    griffin_lim: Annotated[
        list[int] | None,
        typer.Option(
            help="Griffin-Lim iterations after the refinement, for every model; 0: the network alone; left out: what "
            "the model says; may be repeated.",
            min=0,
        ),
    ] = None,
    generated: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=DIR", help="Folder of generated audio, by the recordings' names; may be repeated."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Metrics, with commas between them; left out: all that are installed.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only this many clips, evenly spread.", min=1)] = None,
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Annotated[
        list[str] | None,
        typer.Option(
            help="Precision of the network: float32 (if left out), bfloat16, auto (bfloat16 where the device has units "
            "for it, else float32), float16, or int8 on CPUs with VNNI or AMX; may be repeated. The waveform stays "
            "float32."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes that share the clips.", min=1)] = 1,
    threads: Threads = None,
    tolerance_ms: Annotated[
        float, typer.Option(help="Generated audio may be this much longer or shorter than the recording.", min=0)
    ] = 50.0,
    listen: Annotated[int, typer.Option(help="Clips with players and pictures in report.html.", min=0)] = 20,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another evaluation in the folder.")] = False,
) -> None:
    """Compare systems, and Griffin-Lim beside them, with recordings; write a report to read and to listen to.

    The same command goes on where it was stopped. Without --model and --generated, the default model is evaluated. Bad
    clips are reported and do not stop the others; the exit code is 2 then. Needs: pip install 'wavegrad-vocoder[eval]'.
    """
    if generated and not model and (steps or schedule or sampler or griffin_lim or dtype):
        raise ConfigError(
            "--steps, --schedule, --sampler, --griffin-lim and --dtype are for models; name one with --model, or leave "
            "them out"
        )
    counts = _counts(steps) if steps is not None else ()
    folders = [_named_folder(text) for text in generated or ()]
    precisions = read_precisions(dtype or ["float32"], device)
    set_threads(threads)
    from wavegrad.cli.evaluated import Synthesis
    from wavegrad.evaluation import EvaluationOptions

    models: list[str | None] = [*model] if model else [] if folders else [None]
    wanted = Synthesis(
        counts,
        tuple(schedule or ()),
        tuple(sampler or ()),
        seed,
        device,
        precisions,
        tuple(griffin_lim or ()),
    )
    candidates, mel = _candidates(models, wanted, folders)
    options = EvaluationOptions(
        metrics=tuple(dict.fromkeys(key.strip() for key in metrics.split(","))) if metrics else (),
        limit=limit,
        tolerance_ms=tolerance_ms,
        workers=workers,
        overwrite=overwrite,
        baseline=mel,
        n_listening=listen,
        command=shlex.join(["wavegrad", *sys.argv[1:]]),
    )
    _say(_evaluate(reference, candidates, report, options), report)


def _candidates(
    models: Sequence[str | None], wanted: "Synthesis", folders: list[tuple[str, Path]]
) -> "tuple[list[Candidate], MelConfig | None]":
    """The systems in the order of the columns, and the mel of the first model."""
    from wavegrad.checkpoint import default_model
    from wavegrad.cli.evaluated import copy_syntheses, model_labels
    from wavegrad.evaluation import Folder, System

    labels = model_labels([name or default_model() for name in models])
    made = [copy_syntheses(name, label, wanted) for name, label in zip(models, labels, strict=True)]
    systems = [system for of_model, _ in made for system in of_model]
    return [*systems, *(Folder(System(name, name), path) for name, path in folders)], made[0][1] if made else None


def _evaluate(
    reference: Path, candidates: "Sequence[Candidate]", report: Path, options: "EvaluationOptions"
) -> "Evaluation":
    """Under a progress bar, which failures are printed above."""
    from tqdm import tqdm

    from wavegrad.evaluation import Failure, evaluate

    with tqdm(unit="clip", dynamic_ncols=True, delay=0.01) as bar:  # shown when the number of clips is known

        def on_clip(n_done: int, n_clips: int, failures: Sequence[Failure]) -> None:
            bar.total, bar.n = n_clips, n_done
            bar.refresh()
            for failure in failures:
                bar.write(f"{failure.clip}: {failure.system}: {failure.message}", file=sys.stderr)

        return evaluate(reference, candidates, report, options, on_clip)


def _say(evaluation: "Evaluation", report: Path) -> None:
    """The tables, and what there is to know about them."""
    from wavegrad.evaluation import markdown_table, paired_table

    for remark in evaluation.remarks:
        typer.echo(f"note: {remark}", err=True)
    typer.echo(markdown_table(evaluation) + "\n\n" + paired_table(evaluation, evaluation.systems[0].name))
    typer.echo(f"\n{report / 'report.html'}: to read and to listen to", err=True)
    if evaluation.failures:
        typer.echo(f"{len(evaluation.failures)} failed; see above", err=True)
        raise typer.Exit(2)


def _counts(steps: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(n) for n in steps.split(","))
    except ValueError:
        raise ConfigError(f"--steps is {steps!r}; whole numbers with commas between them are expected") from None
    if len(set(counts)) < len(counts):
        raise ConfigError(f"--steps is {steps!r}; each number once")
    return counts


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise ConfigError(f"--generated {text!r}: write NAME=DIR, the name of the system and the folder of its audio")
    return name, Path(folder)
