"""Pictures of a search, and a page that shows them."""

import base64
import html
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wavegrad import atomic
from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search.result import Searched
from wavegrad.search.space import TOLERANCE, schedule_db


def write_report(out: Path, results: Sequence[Searched]) -> Path:
    """report.html in `out`, self-contained: quality against steps, candidates, curves, sensitivity of each step.

    Args:
        out: a folder.
        results: of each number of steps.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError("matplotlib is not installed; pip install 'wavegrad-vocoder[search]'") from error
    sections: list[tuple[str, Callable[[Any, Sequence[Searched]], None]]] = [
        ("Quality against steps", pareto),
        ("Candidates tried", candidates),
        ("Schedules", curves),
        ("Sensitivity of each step", sensitivity),
    ]
    parts = [f"<h2>{title}</h2><img src='data:image/png;base64,{_png(draw, results)}'>" for title, draw in sections]
    page = (
        f"<!doctype html><meta charset='utf-8'><title>Schedule search</title><h1>Schedule search</h1>{_rows(results)}"
    )
    path = out / "report.html"
    atomic.write_text(path, page + "".join(parts) + "\n")
    return path


def _png(draw: Callable[[Any, Sequence[Searched]], None], results: Sequence[Searched]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    draw(figure.subplots(), results)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    return base64.b64encode(data.getvalue()).decode()


def pareto(axes: Any, results: Sequence[Searched]) -> None:
    """Score with its interval against the number of steps, found and baselines."""
    kept = [result for result in results if result.search["score"] is not None]
    steps = [result.n_steps for result in kept]
    _bars(axes, steps, [result.search for result in kept], "found", "o-")
    families: dict[str, list[tuple[int, Mapping[str, Any]]]] = {}
    for result in results:
        for row in result.search["baselines"]:
            if row["score"] is not None:
                families.setdefault(row["name"].split("(")[0], []).append((result.n_steps, row))
    for name, rows in families.items():
        _bars(axes, [n for n, _ in rows], [row for _, row in rows], name, "s--")
    axes.set(xscale="log", xlabel="steps", ylabel=results[0].search["objective"])
    axes.set_xticks(steps, [str(n) for n in steps])
    axes.minorticks_off()
    axes.legend()


def _bars(axes: Any, steps: Sequence[int], rows: Sequence[Mapping[str, Any]], label: str, style: str) -> None:
    mean = [row["score"] for row in rows]
    low = [max(0.0, row["score"] - row["interval"][0]) for row in rows]
    high = [max(0.0, row["interval"][1] - row["score"]) for row in rows]
    axes.errorbar(steps, mean, yerr=[low, high], fmt=style, capsize=3, label=label)


def candidates(axes: Any, results: Sequence[Searched]) -> None:
    """Score of each trial in order, and the best so far; dropped ones are hollow."""
    for result in results:
        n_clips = len(result.search["clips"])
        judged = [(float(i), one.row()["score"], len(one.scores)) for i, one in enumerate(result.tried, start=1)]
        full = [(i, score) for i, score, n in judged if score is not None and n == n_clips]
        part = [(i, score) for i, score, n in judged if score is not None and n < n_clips]
        best = list(itertools.accumulate((score for _, score in full), max))
        (line,) = axes.plot([i for i, _ in full], best, "-", label=f"{result.n_steps} steps")
        axes.plot(*_columns(full), "o", ms=4, color=line.get_color())
        axes.plot(*_columns(part), "o", ms=4, mfc="none", color=line.get_color())
    axes.set(xlabel="trial; hollow: dropped after the first clips", ylabel=results[0].search["objective"])
    axes.legend(ncols=2)


def curves(axes: Any, results: Sequence[Searched]) -> None:
    """Signal-to-noise ratio of the levels along the way; baselines of the first length, dashed."""
    for result in results:
        _curve(axes, result.schedule, f"{result.n_steps} steps, found", "o-")
    for schedule in results[0].baselines if len(results) == 1 else ():
        _curve(axes, schedule, schedule.name, "s--")
    axes.set(xlabel="share of the steps, from noise (0) to speech (1)", ylabel="signal-to-noise ratio, dB")
    axes.legend()


def _curve(axes: Any, schedule: NoiseSchedule, label: str, style: str) -> None:
    db = schedule_db(schedule)
    n = len(db)
    axes.plot([(n - i) / n for i in range(1, n + 1)], db, style, ms=3, label=label)


def sensitivity(axes: Any, results: Sequence[Searched]) -> None:
    """Loss of score against how far one level, and it alone, is moved from its place in the best schedule."""
    drawn = False
    for result in results:
        best = schedule_db(result.schedule)
        for n, points in sorted(_moves(result, best).items()):
            points = sorted([*points, (0.0, 0.0)])
            axes.plot(*_columns(points), "o-", ms=3, label=f"{len(best)} steps, level {n}: {best[n - 1]:.1f} dB")
            drawn = True
    axes.set(xlabel="level moved by, dB", ylabel="change of score")
    if drawn:
        axes.legend(fontsize="small")
    else:
        text = "No two trials differ in one level alone; coordinate descent measures this."
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)


def _moves(result: Searched, best: Sequence[float]) -> dict[int, list[tuple[float, float]]]:
    """By level: how far it was moved, dB, and what the score became more than that of the best on the same clips."""
    scores = next((one.scores for one in result.tried if one.schedule.betas == result.schedule.betas), ())
    moves: dict[int, list[tuple[float, float]]] = {}
    for trial in result.tried:
        db = schedule_db(trial.schedule)
        moved = [n for n, (a, b) in enumerate(zip(db, best, strict=True), start=1) if abs(a - b) > TOLERANCE]
        score = trial.row()["score"]
        if len(moved) == 1 and score is not None:
            n, reference = moved[0], scores[: len(trial.scores)]
            moves.setdefault(n, []).append((db[n - 1] - best[n - 1], score - sum(reference) / len(reference)))
    return moves


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _rows(results: Sequence[Searched]) -> str:
    lines = ["<table border=1 cellpadding=4><tr><th>steps<th>schedule<th>score<th>95 % interval</tr>"]
    for result in results:
        found = {**result.search, "name": f"found by {result.search['method']}"}
        for row in (found, *result.search["baselines"]):
            score = "-" if row["score"] is None else f"{row['score']:.3f}"
            interval = "-" if row["interval"] is None else f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
            name = html.escape(str(row["name"]))
            lines.append(f"<tr><td>{result.n_steps}<td>{name}<td>{score}<td>{interval}</tr>")
    how = results[0].search
    heard = "with other noise" if how["judged_on"] == how["clips"] else "that the search has not heard"
    said = f"{how['objective']}, higher is better, {len(how['judged_on'])} clips {heard}, sampler {how['sampler']}"
    return "".join(lines) + f"</table><p>{html.escape(said)}</p>"
