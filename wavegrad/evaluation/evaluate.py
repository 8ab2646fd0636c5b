"""Several systems on the same clips, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wavegrad.audio.mel import MelConfig
from wavegrad.errors import ConfigError
from wavegrad.evaluation.blanks import blanks
from wavegrad.evaluation.candidate import Candidate, Folder, griffin_lim_baseline
from wavegrad.evaluation.log_mel import mel_convention
from wavegrad.evaluation.measure import RTF, Job, Record
from wavegrad.evaluation.metric import Metric
from wavegrad.evaluation.pairing import Clip, common_rate, find_clips
from wavegrad.evaluation.progress import read_record, start
from wavegrad.evaluation.registry import METRICS, find_metrics
from wavegrad.evaluation.results import REFERENCE, Evaluation, Failure
from wavegrad.evaluation.workers import work_through


@dataclass(frozen=True)
class EvaluationOptions:
    """How to evaluate."""

    metrics: tuple[str, ...] = ()
    """Keys of METRICS; none: all whose packages are installed."""
    limit: int | None = None
    """Only this many clips, evenly spread over the folder."""
    tolerance_ms: float = 50.0
    """Lengths of recording and generated audio may differ by this much; the longer one is cut."""
    workers: int = 1
    """Processes."""
    overwrite: bool = False
    """Replace another evaluation in the report folder."""
    baseline: MelConfig | None = None
    """Mel of the Griffin-Lim row; left out, that of the log-mel distance."""
    n_listening: int = 20
    """Clips with players and pictures in the report, evenly spread; see `write_report` for what they take."""
    command: str = ""
    """What the report says it was made with."""

    def __post_init__(self) -> None:
        for name, lowest in (("limit", 1), ("workers", 1), ("tolerance_ms", 0), ("n_listening", 0)):
            value = getattr(self, name)
            if value is not None and value < lowest:
                raise ConfigError(f"{name} is {value}; it must be {lowest} or more")


def evaluate(
    reference: str | Path,
    candidates: Sequence[Candidate],
    report: str | Path,
    options: EvaluationOptions = EvaluationOptions(),
    on_clip: Callable[[int, int, Sequence[Failure]], None] | None = None,
) -> Evaluation:
    """Measure systems, and Griffin-Lim beside them, on the recordings of a folder, and write the report.

    Recording and generated audio meet at the lowest sample rate that any of them has, so that no system is judged by a
    band that it, or the recording, cannot have. What is done stays on disk: the same call goes on where it was stopped,
    and does again the clips whose files have changed or that failed.

    Args:
        reference: folder of recordings, of any rate and format that can be read.
        candidates: the systems.
        report: folder to write: metrics.csv, summary.json, report.html, audio/ (and plan.json, clips/ to go on from).
        options: see there.
        on_clip: called at the start, and after each clip with the numbers of clips done and in all, and what failed in
            it.

    Raises:
        ConfigError: folders, names or metrics that do not exist, or a report folder that holds something else.
        WavegradError: a worker process died.
    """
    clips, remarks = find_clips(
        Path(reference), [c for c in candidates if isinstance(c, Folder)], options.limit, Path(report)
    )
    sample_rate, on_rates = _meeting_rate(clips, candidates)
    baseline = griffin_lim_baseline(options.baseline or mel_convention(sample_rate))
    candidates = (*candidates, baseline)
    _check_names(candidates)
    metrics, skipped = _metrics(options.metrics)
    job = Job(candidates, tuple(m.key for m in metrics), sample_rate, options.tolerance_ms / 1000, Path(report))
    start(job, options.overwrite)
    records = _records(clips, job, options.workers, on_clip)
    general = [*on_rates, *_on_metrics(metrics, sample_rate), *skipped, *remarks]
    evaluation = _collect(clips, job, records, general, options.command)
    evaluation.save(job.directory)
    from wavegrad.evaluation.report import write_report  # it draws: needs the extra

    write_report(evaluation, job.directory, options.n_listening)
    return evaluation


def _records(
    clips: Sequence[Clip],
    job: Job,
    n_workers: int,
    on_clip: Callable[[int, int, Sequence[Failure]], None] | None,
) -> dict[str, Record]:
    """The record of every clip: from disk, or made now."""
    known = {clip.name: read_record(clip, job) for clip in clips}
    records = {name: record for name, record in known.items() if record is not None and not record.failures}
    if on_clip is not None:
        on_clip(len(records), len(clips), ())
    for clip in work_through([clip for clip in clips if clip.name not in records], job, n_workers):
        record = read_record(clip, job)
        if record is None:
            raise ConfigError(f"{clip.reference}: it, or what belongs to it, changed while it was evaluated; try again")
        records[clip.name] = record
        if on_clip is not None:
            on_clip(len(records), len(clips), record.failures)
    return records


def _collect(
    clips: Sequence[Clip], job: Job, records: dict[str, Record], remarks: list[str], command: str
) -> Evaluation:
    values: dict[str, dict[str, dict[str, float]]] = {}
    for clip in clips:
        for system, figures in records[clip.name].values.items():
            values.setdefault(system, {})[clip.name] = dict(figures)
    of_clips = [records[clip.name] for clip in clips]
    measured = {key for of_system in values.values() for figures in of_system.values() for key in figures}
    evaluation = Evaluation(
        sample_rate=job.sample_rate,
        systems=tuple(candidate.system for candidate in job.candidates),
        clips=tuple(clip.name for clip in clips),
        metrics=tuple(key for key in (*job.metrics, RTF) if key in measured),
        values=values,
        remarks=tuple(dict.fromkeys((*remarks, *(remark for record in of_clips for remark in record.remarks)))),
        failures=tuple(failure for record in of_clips for failure in record.failures),
        command=command,
    )
    return replace(evaluation, remarks=(*evaluation.remarks, *blanks(evaluation, job.metrics)))


def _meeting_rate(clips: Sequence[Clip], candidates: Sequence[Candidate]) -> tuple[int, list[str]]:
    """The lowest rate of all, and remarks on those that have another."""
    rates = {REFERENCE: common_rate(clip.reference for clip in clips)}
    for c in candidates:
        files = (clip.generated[c.system.name] for clip in clips if c.system.name in clip.generated)
        rates[c.system.name] = common_rate(files) if isinstance(c, Folder) else c.sample_rate
    known = {name: rate for name, rate in rates.items() if rate is not None}
    if not known:
        raise ConfigError("no recording can be read, and no system says its sample rate")
    lowest = min(known.values())
    return lowest, [
        f"{name}: {rate} Hz, resampled to {lowest} Hz, where all are compared"
        for name, rate in known.items()
        if rate != lowest
    ]


def _metrics(keys: tuple[str, ...]) -> tuple[list[Metric], list[str]]:
    """Those that can be measured, and a remark with the remedy for each that cannot."""
    asked = find_metrics(keys or tuple(METRICS))
    there = [metric for metric in asked if not metric.missing()]
    if not there:
        raise ConfigError(f"no metric is installed; {asked[0].install}")
    return there, [
        f"{metric.heading} skipped, for want of {', '.join(metric.missing())}: {metric.install}"
        for metric in asked
        if metric.missing()
    ]


def _on_metrics(metrics: Sequence[Metric], sample_rate: int) -> list[str]:
    """What is measured at another rate than that of the comparison."""
    rates = sorted({m.sample_rate for m in metrics if m.sample_rate is not None} - {sample_rate})
    return [
        f"measured at {rate} Hz, resampled from {sample_rate} Hz: "
        + ", ".join(metric.heading for metric in metrics if metric.sample_rate == rate)
        for rate in rates
    ]


def _check_names(candidates: Sequence[Candidate]) -> None:
    seen = {REFERENCE: REFERENCE}
    for name, slug in ((c.system.name, c.system.slug) for c in candidates):
        if slug in seen:
            raise ConfigError(f"two systems are called {name!r} and {seen[slug]!r}, in folders {slug!r}; rename one")
        seen[slug] = name
