"""`wavegrad search-schedule`: noise schedules that fit a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from wavegrad.cli.files import find
from wavegrad.cli.options import Device, Model, Seed, read_precisions, read_schedule
from wavegrad.errors import ConfigError
from wavegrad.suffixes import AUDIO

if TYPE_CHECKING:
    from wavegrad.diffusion import NoiseSchedule
    from wavegrad.search import (
        Budget,
        Found,
        Journal,
        Judged,
        Method,
        Pool,
        Searched,
        SearchOptions,
        SearchSpace,
        Trial,
        VocoderSetup,
    )

Kind = Literal["dp", "coordinate", "tpe", "cma-es", "grid"]


def search_schedule(
    data: Annotated[list[str], typer.Argument(help="Recordings to search on: files, folders, globs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for schedules, journals and the report.")],
    model: Model = None,
    steps: Annotated[str, typer.Option(help="Numbers of steps, with commas between them.")] = "6",
    method: Annotated[Kind, typer.Option(help="dp needs losses only, and finds all lengths at once.")] = "dp",
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
    run = _Run(setup, judging, options, Budget(trials, minutes), out, workers, ray, beginning)
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


class _Run:
    """One call of the command."""

    def __init__(
        self,
        setup: "VocoderSetup",
        judging: "VocoderSetup",
        options: "SearchOptions",
        budget: "Budget",
        out: Path,
        workers: int,
        ray: str | None,
        start: "NoiseSchedule | None",
    ):
        self.setup, self.judging, self.options, self.budget, self.out = setup, judging, options, budget, out
        self.workers, self.ray, self.start = workers, ray, start

    def pool(self, setup: "VocoderSetup") -> "Pool":
        from wavegrad.search import InProcess, Processes, Ray

        if self.ray is not None:
            return Ray(setup, self.workers, self.ray)
        return Processes(setup, self.workers) if self.workers > 1 else InProcess(setup)

    def journal(self, setup: "VocoderSetup", name: str) -> "Journal":
        from wavegrad.search import Journal

        return Journal(self.out / f"{name}.jsonl", setup.identity())

    def dynamic(self, spaces: "dict[int, SearchSpace]", n_levels: int) -> "list[Searched]":
        """All lengths from one table; then each is scored."""
        import time

        from wavegrad.search import LOSS, best_schedules, evenly_spaced_levels, measure_losses

        setup = replace(self.setup, objective=LOSS)
        space = next(iter(spaces.values()))
        journal = self.journal(setup, "losses")
        began = time.perf_counter() - journal.seconds
        with self.pool(setup) as pool:
            levels = evenly_spaced_levels(n_levels, space.highest_db, space.lowest_db)
            table = measure_losses(levels, self.options.n_clips, pool, journal)
        power = setup.build().power()
        found = best_schedules(levels, table.losses, power, spaces[max(spaces)], setup.reverse)
        took = time.perf_counter() - began
        typer.echo(f"table of {n_levels} levels, {table.calls} network calls, {took:.1f} s")
        return [self.finish("dp", found[n][0], (), None, took, (table.calls, 0, 0)) for n in spaces]

    def one(self, method: Kind, space: "SearchSpace") -> "Searched":
        """One length, by trying candidates."""
        from wavegrad.search import Judged, search

        journal = self.journal(self.setup, f"trials-{space.n_steps}")
        with self.pool(self.setup) as pool:
            found: Found = search(self.method(method, space), pool, journal, self.options, self.budget, _say)
        tried = [Judged(trial.schedule, trial.scores) for trial in found.trials]
        counts = (found.calls, found.shared, len(found.trials))
        return self.finish(method, found.best.schedule, tried, found.best.score, found.seconds, counts)

    def method(self, method: Kind, space: "SearchSpace") -> "Method":
        from wavegrad.search import coordinate_method, grid_method, optuna_method, schedule_db

        taken = self.baselines(space.n_steps)[0]
        begin = self.start if self.start is not None and self.start.n_steps == space.n_steps else taken
        start = space.decode(space.encode(schedule_db(begin)))
        if method == "coordinate":
            return coordinate_method(space, start)
        if method == "grid":
            return grid_method(space.n_steps, self.options.batch, self.budget.trials, self.setup.seed)
        assert method in ("tpe", "cma-es")
        return optuna_method(method, space, start, self.options.batch, self.setup.seed)

    def baselines(self, n_steps: int) -> "list[NoiseSchedule]":
        """First what that number of steps takes without a search; then the start, the model's others of that length,
        the generic one, and those of the literature."""
        from wavegrad.checkpoint import load_config, load_schedules, resolve_model
        from wavegrad.diffusion import SCHEDULES, NoiseSchedule
        from wavegrad.vocoder import choose_schedule, generic_schedule

        directory = resolve_model(self.setup.model)
        config = load_config(directory)
        generic = generic_schedule(n_steps, config.prior)
        own = {name: replace(one, name="the model's own") for name, one in load_schedules(directory).items()}
        taken = choose_schedule(n_steps, own, config.default_schedule, config.prior)
        fibonacci = [NoiseSchedule.fibonacci(n_steps)] if n_steps == 6 else []
        start = [] if self.start is None else [self.start]
        known: dict[tuple[float, ...], NoiseSchedule] = {}
        for schedule in (taken, *start, *own.values(), generic, *SCHEDULES.values(), *fibonacci):
            if schedule.n_steps == n_steps:
                known.setdefault(schedule.betas, schedule)
        return list(known.values())

    def judge(self, schedules: "Sequence[NoiseSchedule]") -> "list[Judged]":
        """Each for itself, on recordings or at least with noise that the search has not heard."""
        from wavegrad.search import judge

        return judge(schedules, len(self.judging.clips), self.pool(self.judging), self.journal(self.judging, "judged"))

    def finish(
        self,
        method: Kind,
        schedule: "NoiseSchedule",
        tried: "Sequence[Judged]",
        score: float | None,
        seconds: float,
        counts: tuple[int, int, int],
    ) -> "Searched":
        """Judge and write the schedule, say how good it is, and return what the report needs.

        Args:
            method: that found it.
            schedule: what it found.
            tried: the candidates.
            score: of the best of them, in the search.
            seconds: of the search.
            counts: network calls, those that were spared, and trials.
        """
        from wavegrad.diffusion import choose_sampler
        from wavegrad.search import Provenance, Searched, result_table, write_json

        calls, shared, n_trials = counts
        setup, n_steps = self.setup, schedule.n_steps
        sampler = str(choose_sampler(setup.sampler, None, n_steps))
        how = Provenance(
            method, setup.objective, sampler, setup.precision, setup.seed, n_trials, self.budget.minutes, seconds,
            calls, shared, setup.model_hash(), _names(setup.clips), _names(self.judging.clips), score,
        )  # fmt: skip
        best, *known = self.judge([replace(schedule, name=str(n_steps)), *self.baselines(n_steps)])
        found = Searched(result_table(best, known, how), tuple(tried), tuple(one.schedule for one in known))
        write_json(found.table, self.out / f"{n_steps}.json")
        for row in ({"name": f"found by {method}", **found.search}, *found.search["baselines"]):
            typer.echo(f"{n_steps:>4} steps  {row['name']:<24} {_figure(row)}")
        if found.gain is not None:
            others = "" if self.judging.clips == self.setup.clips else f"other recordings ({len(self.judging.clips)}), "
            typer.echo(f"            {_verdict(found.gain)} with {others}other noise")
        typer.echo(f"            {seconds:.0f} s, {calls} network calls, {shared} spared")
        return found


def _beginning(
    name_or_file: str, method: Kind, setup: "VocoderSetup", spaces: "Mapping[int, SearchSpace]"
) -> "NoiseSchedule":
    """The schedule of --start, which must be one that the search could find."""
    from wavegrad.checkpoint import load_config, load_schedules, resolve_model
    from wavegrad.search import schedule_db
    from wavegrad.vocoder import choose_schedule

    if method in ("dp", "grid"):
        raise ConfigError(f"--start is for coordinate, tpe and cma-es; {method} begins nowhere: leave it out")
    directory = resolve_model(setup.model)
    config = load_config(directory)
    wanted = read_schedule(name_or_file, None)
    schedule = choose_schedule(wanted, load_schedules(directory), config.default_schedule, config.prior)
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


def _names(paths: "Sequence[str]") -> tuple[str, ...]:
    return tuple(Path(path).name for path in paths)


def _verdict(gain: Mapping[str, Any]) -> str:
    """Of the schedule that was found, beside what is taken without it."""
    low, high = gain["interval"]
    verdict = "better" if low > 0 else "worse" if high < 0 else "as good, as far as that tells"
    return f"{verdict}: {gain['gain']:+.3f} ({low:+.3f} to {high:+.3f})"


def _figure(row: Mapping[str, Any]) -> str:
    if row["score"] is None:
        return "diverged"
    return f"{row['score']:.3f} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f})"


def _say(number: int, trial: "Trial", best: "Trial") -> None:
    state = " (dropped)" if trial.stopped else ""
    typer.echo(f"{number:>5}  {trial.score:.4f}{state}  best {best.score:.4f}")


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
