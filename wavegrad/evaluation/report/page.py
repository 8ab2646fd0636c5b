"""The page itself: template, style and script put together with the data."""

import base64
import datetime
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from wavegrad import __version__, atomic
from wavegrad.evaluation.pairing import evenly
from wavegrad.evaluation.report.figures import best, embedded, figures
from wavegrad.evaluation.report.listening import clip_data
from wavegrad.evaluation.report.picture import DIFFERENCE, DIFFERENCE_DB, LEVEL, RANGE_DB, scale_bar
from wavegrad.evaluation.results import Evaluation
from wavegrad.evaluation.table import Column, column

FILE_NAME = "report.html"
SCRIPTS = tuple(f"script/{name}.js" for name in ("elements", "tables", "plots", "sound", "player", "start"))
"""In the order in which they are put together: one script of one page."""
N_LISTENING = 20
"""Clips with players, where nothing else is asked for."""
N_SHOWN = 8
"""Longer lists of remarks and failures are folded."""


def write_report(evaluation: Evaluation, directory: Path, n_listening: int = N_LISTENING) -> Path:
    """Write `directory/report.html`: one page that needs no other file and no network.

    Args:
        evaluation: what was found; the audio of its clips lies below `directory` (see `results.audio_path`).
        directory: where the page goes.
        n_listening: how many clips, evenly spread, have players and pictures; the tables have all of them. The page
            has their audio in it.

    Returns:
        The page's path.
    """
    chosen = evenly(evaluation.clips, n_listening)
    clips = [_clip(evaluation, clip, directory, number) for number, clip in enumerate(chosen)]
    style, script = _resource("page.css"), "\n".join(map(_resource, SCRIPTS))
    text = Template(_resource("page.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        title=escape(_title(evaluation)),
        facts="\n".join(_facts(evaluation)),
        table="\n".join(_table(evaluation)),
        figures=embedded(figures(evaluation)),
        range_db=f"{RANGE_DB:g}",
        top_khz=f"{evaluation.sample_rate / 2000:g}",
        difference_db=f"{DIFFERENCE_DB:g}",
        level_bar=scale_bar(LEVEL),
        difference_bar=scale_bar(DIFFERENCE),
        heard=_heard(len(chosen), len(evaluation.clips)),
        megabytes=f"{sum(map(len, clips)) / 1e6:.1f}",
        clips="\n".join(clips),
    )
    path = directory / FILE_NAME
    atomic.write_text(path, text)
    return path


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Only our own style and script, known by their hashes, and nothing from a network (W3C, CSP level 3)."""
    hashes = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )


def _title(evaluation: Evaluation) -> str:
    names = [system.name for system in evaluation.systems]
    if len(names) > 4:
        names = list(dict.fromkeys(system.group for system in evaluation.systems))
    return " · ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _facts(evaluation: Evaluation) -> Iterator[str]:
    """What was compared, how, and what went wrong."""
    n = len(evaluation.clips)
    now = datetime.datetime.now().astimezone()
    yield f"<p>{_counted(len(evaluation.systems), 'system')} on {_counted(n, 'clip')} at {evaluation.sample_rate} Hz, "
    yield f'<time datetime="{now.isoformat(timespec="seconds")}">{now:%Y-%m-%d %H:%M}</time>,'
    yield f"wavegrad {__version__}.</p>"
    if evaluation.command:
        yield f'<pre class="scroll" tabindex="0" aria-label="Command"><code>{escape(evaluation.command)}</code></pre>'
    yield from _listed("Remarks", evaluation.remarks)
    failures = [f"{failure.system}, {failure.clip}: {failure.message}" for failure in evaluation.failures]
    yield from _listed(f"Failures: {len(failures)}", failures)


def _listed(title: str, lines: Iterable[str]) -> Iterator[str]:
    items = [f"<li>{escape(line)}</li>" for line in lines]
    if items:
        state = " open" if len(items) <= N_SHOWN else ""
        yield f'<details class="notes"{state}><summary>{title}</summary><ul>{"".join(items)}</ul></details>'


def _heard(n_listening: int, n_clips: int) -> str:
    if n_listening < n_clips:
        return f"{n_listening} of {_counted(n_clips, 'clip')}, evenly spread (--listen):"
    return f"{_counted(n_clips, 'clip')}:"


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _table(evaluation: Evaluation) -> Iterator[str]:
    """Rows of systems x metrics; in HTML, not by the script, so that it can be read without one."""
    columns = {key: column(key) for key in evaluation.metrics}
    marked = {key: best(evaluation, key) for key in evaluation.metrics}
    heads = [_head("System", ""), _head("n", "clips")]
    yield f"<thead><tr>{''.join(heads + [_head(c.heading, _direction(c)) for c in columns.values()])}</tr></thead>"
    yield "<tbody>"
    for system in evaluation.systems:
        intervals = {key: evaluation.interval(system.name, key) for key in evaluation.metrics}
        n = max((interval.n for interval in intervals.values()), default=0)
        cells = [f'<th scope="row">{escape(system.name)}</th><td data-value="{n}">{n}</td>']
        for key, i in intervals.items():
            if not i.n:
                cells.append('<td class="none">not measured</td>')
                continue
            mean, low, high = (_figure(x, columns[key].digits) for x in (i.mean, i.low, i.high))
            star = '<span class="best" title="best mean">★<span class="hidden"> best</span></span>'
            fewer = f", n = {i.n}" if i.n < n else ""
            cells.append(
                f'<td data-value="{i.mean!r}"><b>{mean}</b>{star if system.name in marked[key] else ""}'
                f"<small>{low} to {high}{fewer}</small></td>"
            )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>"


def _figure(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "\u2212")  # as wide as the plus of the differences


def _head(name: str, note: str) -> str:
    remark = f"<small>{note}</small>" if note else ""
    return f'<th scope="col"><button type="button" class="sort"><span>{escape(name)}</span>{remark}</button></th>'


def _direction(c: Column) -> str:
    return {"higher": "higher is better", "lower": "lower is better", "zero": "0 is best"}[c.better]


def _clip(evaluation: Evaluation, clip: str, directory: Path, number: int) -> str:
    """A closed section; the script builds its contents, of the data beside it, when it is opened."""
    data = embedded(clip_data(evaluation, clip, directory))
    return (
        f'<details class="clip" data-clip="{number}"><summary>{escape(clip)}</summary></details>'
        f'<script type="application/json" id="clip-{number}">{data}</script>'
    )
