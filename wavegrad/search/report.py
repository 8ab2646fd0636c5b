"""Pictures of a search, and a page that shows them."""

import base64
import html
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search.space import schedule_db


def write_report(out: Path, results: Sequence[Mapping[str, Any]]) -> Path:
    """report.html in `out`, self-contained: quality against steps, candidates, curves, sensitivity of each step.

    Args:
        out: a folder.
        results: `result_table` of each number of steps, with "tried" (score, n_clips, betas) and "baseline_schedules".

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise ConfigError("matplotlib is not installed; pip install 'wavegrad-vocoder[search]'") from error
    sections: list[tuple[str, Callable[[Any, Sequence[Mapping[str, Any]]], None]]] = [
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
    path.write_text(page + "".join(parts) + "\n", encoding="utf-8")
    return path


def _png(draw: Callable[[Any, Sequence[Mapping[str, Any]]], None], results: Sequence[Mapping[str, Any]]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    draw(figure.subplots(), results)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    return base64.b64encode(data.getvalue()).decode()


def pareto(axes: Any, results: Sequence[Mapping[str, Any]]) -> None:
    """Score with its interval against the number of steps, found and baselines."""
    kept = [r for r in results if r["search"]["score"] is not None]
    steps = [len(r["betas"]) for r in kept]
    _bars(axes, steps, [r["search"] for r in kept], "found", "o-")
    names = sorted({b["name"].split("(")[0] for r in results for b in r["search"]["baselines"]})
    for name in names:
        rows = [
            (len(r["betas"]), b) for r in results for b in r["search"]["baselines"] if b["name"].split("(")[0] == name
        ]
        rows = [(n, b) for n, b in rows if b["score"] is not None]
        _bars(axes, [n for n, _ in rows], [b for _, b in rows], name, "s--")
    axes.set(xscale="log", xlabel="steps", ylabel=results[0]["search"]["objective"])
    axes.set_xticks(steps, [str(n) for n in steps])
    axes.minorticks_off()
    axes.legend()


def _bars(axes: Any, steps: Sequence[int], rows: Sequence[Mapping[str, Any]], label: str, style: str) -> None:
    mean = [row["score"] for row in rows]
    low = [max(0.0, row["score"] - row["interval"][0]) for row in rows]
    high = [max(0.0, row["interval"][1] - row["score"]) for row in rows]
    axes.errorbar(steps, mean, yerr=[low, high], fmt=style, capsize=3, label=label)


def candidates(axes: Any, results: Sequence[Mapping[str, Any]]) -> None:
    """Score of each trial in order, and the best so far; dropped ones are hollow."""
    for result in results:
        n_clips = len(result["search"]["clips"])
        tried = [(i, t) for i, t in enumerate(result["tried"], start=1) if t["score"] is not None]
        full = [(i, t["score"]) for i, t in tried if t["n_clips"] == n_clips]
        part = [(i, t["score"]) for i, t in tried if t["n_clips"] < n_clips]
        line = (
            axes.plot(*zip(*full, strict=True), "o", ms=4, label=f"{len(result['betas'])} steps")[0] if full else None
        )
        if part:
            axes.plot(*zip(*part, strict=True), "o", ms=4, mfc="none", color="0.6", label="dropped")
        best = [max(score for j, score in full if j <= i) for i, _ in full]
        axes.plot([i for i, _ in full], best, "-", color=line.get_color() if line else None)
    axes.set(xlabel="trial", ylabel=results[0]["search"]["objective"])
    axes.legend(ncols=2)


def curves(axes: Any, results: Sequence[Mapping[str, Any]]) -> None:
    """Signal-to-noise ratio of the levels along the way; baselines of the first length, dashed."""
    for result in results:
        _curve(axes, NoiseSchedule(tuple(result["betas"])), f"{len(result['betas'])} steps, found", "o-")
    for schedule in results[0]["baseline_schedules"] if len(results) == 1 else ():
        _curve(axes, schedule, schedule.name, "s--")
    axes.set(xlabel="share of the steps, from noise (0) to speech (1)", ylabel="signal-to-noise ratio, dB")
    axes.legend()


def _curve(axes: Any, schedule: NoiseSchedule, label: str, style: str) -> None:
    db = schedule_db(schedule)
    n = len(db)
    axes.plot([(n - i) / n for i in range(1, n + 1)], db, style, ms=3, label=label)


def sensitivity(axes: Any, results: Sequence[Mapping[str, Any]]) -> None:
    """Loss of score against how far one level, and it alone, is moved from its place in the best schedule."""
    drawn = False
    for result in results:
        best = schedule_db(NoiseSchedule(tuple(result["betas"])))
        moves: dict[int, list[tuple[float, float]]] = {}
        for trial in result["tried"]:
            db = schedule_db(NoiseSchedule(tuple(trial["betas"])))
            moved = [n for n, (a, b) in enumerate(zip(db, best, strict=True), start=1) if abs(a - b) > 1e-6]
            if len(moved) == 1 and trial["score"] is not None:
                n = moved[0]
                moves.setdefault(n, []).append((db[n - 1] - best[n - 1], trial["score"] - result["search"]["score"]))
        for n, points in sorted(moves.items()):
            points = sorted([*points, (0.0, 0.0)])
            axes.plot(
                *zip(*points, strict=True), "o-", ms=3, label=f"{len(best)} steps, level {n}: {best[n - 1]:.1f} dB"
            )
            drawn = True
    axes.set(xlabel="level moved by, dB", ylabel="change of score")
    if drawn:
        axes.legend(fontsize="small")
    else:
        text = "No two trials differ in one level alone; coordinate descent measures this."
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes)


def _rows(results: Sequence[Mapping[str, Any]]) -> str:
    lines = ["<table border=1 cellpadding=4><tr><th>steps<th>schedule<th>score<th>95 % interval</tr>"]
    for result in results:
        found = {**result["search"], "name": f"found by {result['search']['method']}"}
        for row in (found, *result["search"]["baselines"]):
            score = "-" if row["score"] is None else f"{row['score']:.3f}"
            interval = "-" if row["interval"] is None else f"{row['interval'][0]:.3f} to {row['interval'][1]:.3f}"
            name = html.escape(str(row["name"]))
            lines.append(f"<tr><td>{len(result['betas'])}<td>{name}<td>{score}<td>{interval}</tr>")
    how = results[0]["search"]
    said = f"{how['objective']}, higher is better, {len(how['clips'])} clips, sampler {how['sampler']}"
    return "".join(lines) + f"</table><p>{html.escape(said)}</p>"
