"""Where a metric found nothing to measure."""

from collections.abc import Iterator

from wavegrad.evaluation.registry import find_metrics
from wavegrad.evaluation.results import Evaluation

N_NAMED = 5
"""Longer lists of clips are cut."""


def blanks(evaluation: Evaluation, keys: tuple[str, ...]) -> Iterator[str]:
    """A line for each of these metrics that gave no figure for clips in which nothing failed, and for which systems.

    Such clips have no silence, or no frame that is voiced, and count in no mean of that metric.
    """
    failed = {(failure.system, failure.clip) for failure in evaluation.failures}
    for metric in find_metrics(keys):
        without: dict[tuple[str, ...], list[str]] = {}
        for name, clips in evaluation.values.items():
            blank = tuple(clip for clip in clips if metric.key not in clips[clip] and (name, clip) not in failed)
            without.setdefault(blank, []).append(name)
        for blank, names in without.items():
            if blank:
                of = "" if len(names) == len(evaluation.values) else f" of {'; '.join(names)}"
                more = f" and {len(blank) - N_NAMED} more" if len(blank) > N_NAMED else ""
                clips_of = f"{len(blank)} of {len(evaluation.clips)} clips{of}"
                yield f"{metric.heading}: nothing to measure in {clips_of}: {', '.join(blank[:N_NAMED])}{more}"
