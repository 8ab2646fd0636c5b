"""A search for noise schedules, as the command line asks for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

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

MethodName = Literal["dp", "coordinate", "tpe", "cma-es", "grid"]


class SearchRun:
    """One call of `wavegrad search-schedule`: search each length, judge what is found, write it and say it."""

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

    def one(self, method: MethodName, space: "SearchSpace") -> "Searched":
        """One length, by trying candidates."""
        from wavegrad.search import Judged, search

        journal = self.journal(self.setup, f"trials-{space.n_steps}")
        with self.pool(self.setup) as pool:
            found: Found = search(self.method(method, space), pool, journal, self.options, self.budget, _say)
        tried = [Judged(trial.schedule, trial.scores) for trial in found.trials]
        counts = (found.calls, found.shared, len(found.trials))
        return self.finish(method, found.best.schedule, tried, found.best.score, found.seconds, counts)

    def method(self, method: MethodName, space: "SearchSpace") -> "Method":
        from wavegrad.search import coordinate_method, grid_method, optuna_method, schedule_db

        if method == "grid":
            return grid_method(space.n_steps, self.options.batch, self.budget.trials, self.setup.seed)
        begin = self.start
        if begin is None or begin.n_steps != space.n_steps:
            begin = self.baselines(space.n_steps)[0]
        start = space.decode(space.encode(schedule_db(begin)))
        if method == "coordinate":
            return coordinate_method(space, start)
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
        method: MethodName,
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
