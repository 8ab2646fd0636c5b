"""`wavegrad search-schedule`: noise schedules that fit a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from wavegrad.cli.files import find
from wavegrad.cli.options import Device, Model, Seed, read_precisions, read_schedule
from wavegrad.cli.search_run import MethodName, SearchRun
from wavegrad.errors import ConfigError
from wavegrad.suffixes import AUDIO

if TYPE_CHECKING:
    from wavegrad.diffusion import NoiseSchedule
    from wavegrad.search import SearchSpace, VocoderSetup


def search_schedule(
    data: Annotated[list[str], typer.Argument(help="Recordings to search on: files, folders, globs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for schedules, journals and the report.")],
    model: Model = None,
    steps: Annotated[str, typer.Option(help="Numbers of steps, with commas between them.")] = "6",
    method: Annotated[MethodName, typer.Option(help="dp needs losses only, and finds all lengths at once.")] = "dp",
    start: Annotated[
        str | None,
        typer.Option(
            help="Where coordinate, tpe and cma-es begin: a schedule's name or JSON file, of a length among --steps; "
            "left out: the model's own."
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="A metric, a sum such as 'pesq_wb - 0.1*log_mel_db', or bound.")
    ] = "pesq_wb",
    sampler: Annotated[str | None, typer.Option(help="As for vocode; left out: by number of steps.")] = None,
    clips: Annotated[int, typer.Option(help="Recordings that are searched on, evenly spread.", min=1)] = 4,
    judge_clips: Annotated[
        int,
        typer.Option(
            help="Other recordings, on which the outcome is compared with the known schedules; where there are none, "
            "the same with other noise.",
            min=1,
        ),
    ] = 8,
    seconds: Annotated[float | None, typer.Option(help="Only so much of each, from its middle.", min=0.1)] = None,
    trials: Annotated[int, typer.Option(help="Budget of schedules tried, for each number of steps.", min=1)] = 100,
    minutes: Annotated[float | None, typer.Option(help="Budget of time, for each number of steps.")] = None,
    batch: Annotated[int, typer.Option(help="Schedules that go through the network together.", min=1)] = 8,
    first_clips: Annotated[int, typer.Option(help="Clips after which the hopeless are dropped.", min=1)] = 2,
    levels: Annotated[int, typer.Option(help="dp: noise levels of the table.", min=2)] = 61,
    range_db: Annotated[str, typer.Option(help="Cleanest and noisiest level, dB.")] = "60,-30",
    ends_db: Annotated[
        str | None,
        typer.Option(
            help="Level 1 is at least this clean, level N at least this noisy, dB; left out: 0,-18 for dp, else 0,-6."
        ),
    ] = None,
    bound: Annotated[
        Literal["optimal", "posterior"],
        typer.Option(help="dp and bound: variance of the steps back; posterior is that of the default sampler."),
    ] = "posterior",
    seed: Seed = 0,
    device: Device = "auto",
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16", "int8", "auto"],
        typer.Option(help="Precision of the network, as for vocode."),
    ] = "float32",
    threads: Annotated[int, typer.Option(help="CPU threads of each worker.", min=1)] = 1,
    workers: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    ray: Annotated[str | None, typer.Option(help="Run the workers on the Ray cluster at this address.")] = None,
    add_to: Annotated[
        str | None,
        typer.Option(help="Model that schedules are stored in, as STEPS.json, where they are better than what it has."),
    ] = None,
) -> None:
    """Search noise schedules on recordings, compare them with the known ones on others, and write a report.

    A search begins with --start, or the model's own schedule of that length, or else one evenly spaced in log-SNR.
    The same command goes on where it was interrupted. Needs the extras: pip install 'wavegrad-vocoder[eval,search]'.
    """
    counts = _counts(steps)
    highest, lowest = _pair(range_db, "--range-db")
    first, last = _pair(ends_db or ("0,-18" if method == "dp" else "0,-6"), "--ends-db")
    paths = [str(path) for path, _ in find(data, AUDIO)]
    from wavegrad.checkpoint import load_config, resolve_model
    from wavegrad.device import choose_device
    from wavegrad.search import Budget, Objective, SearchOptions, SearchSpace, VocoderSetup

    Objective.parse(objective)
    if add_to is not None:
        load_config(resolve_model(add_to))  # a search takes hours: what cannot be stored is refused before
    chosen = _spread(paths, clips)
    where = str(choose_device(device))
    (precision,) = read_precisions([dtype], device)
    setup = VocoderSetup(model, chosen, objective, sampler, seed, seconds, where, threads, bound, precision)
    judging = setup.for_judging(_spread([path for path in paths if path not in chosen], judge_clips))
    spaces = {n: SearchSpace(n, highest, lowest, largest_terminal_db=last, smallest_first_db=first) for n in counts}
    options = SearchOptions(len(chosen), batch, first_clips)
    beginning = None if start is None else _beginning(start, method, setup, spaces)
    out.mkdir(parents=True, exist_ok=True)
    run = SearchRun(setup, judging, options, Budget(trials, minutes), out, workers, ray, beginning)
    results = run.dynamic(spaces, levels) if method == "dp" else [run.one(method, space) for space in spaces.values()]
    from wavegrad.search import add_to_model
    from wavegrad.search.report import write_report

    typer.echo(f"report: {write_report(out, results)}")
    if add_to is not None:  # only now: a search starts from what the model has
        for found in results:
            if found.is_better:
                add_to_model(found.table, add_to, str(found.n_steps))
            else:
                typer.echo(f"{found.n_steps:>4} steps  not stored in {add_to}: no better than without a search")


def _beginning(
    name_or_file: str, method: MethodName, setup: "VocoderSetup", spaces: "Mapping[int, SearchSpace]"
) -> "NoiseSchedule":
    """The schedule of --start, which must be one that the search could find."""
    from wavegrad.search import schedule_db
    from wavegrad.vocoder import Vocoder

    if method in ("dp", "grid"):
        raise ConfigError(f"--start is for coordinate, tpe and cma-es; {method} begins nowhere: leave it out")
    schedule = Vocoder.from_pretrained(setup.model).find_schedule(read_schedule(name_or_file, None))
    space = spaces.get(schedule.n_steps)
    if space is None:
        counts = ", ".join(map(str, spaces))
        raise ConfigError(f"--start {name_or_file} has {schedule.n_steps} steps; --steps asks for {counts}")
    db = schedule_db(schedule)
    if not space.contains(db):
        levels = ", ".join(f"{value:.1f}" for value in db)
        raise ConfigError(
            f"--start {name_or_file}, of {levels} dB, is outside of what is searched: levels at least "
            f"{space.gap_db} dB apart, within --range-db and --ends-db; widen those"
        )
    return replace(schedule, name="the start")


def _spread(paths: "Sequence[str]", n: int) -> tuple[str, ...]:
    """So many of them, evenly spread, or all."""
    n = min(n, len(paths))
    return tuple(paths[i * len(paths) // n] for i in range(n))


def _counts(steps: str) -> list[int]:
    try:
        counts = [int(n) for n in steps.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1:
        raise ConfigError(f"--steps is {steps!r}; whole numbers above 0 with commas between them are expected")
    return counts


def _pair(text: str, option: str) -> tuple[float, float]:
    try:
        first, second = map(float, text.split(","))
    except ValueError:
        raise ConfigError(f"{option} is {text!r}; two numbers with a comma between them are expected") from None
    return first, second
