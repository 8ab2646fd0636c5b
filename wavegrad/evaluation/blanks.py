"""Where a metric found nothing to measure."""

from collections.abc import Iterator

from wavegrad.evaluation.registry import find_metrics
from wavegrad.evaluation.results import Evaluation

N_NAMED = 5
"""Longer lists of clips are cut."""


def blanks(evaluation: Evaluation, keys: tuple[str, ...]) -> Iterator[str]:
    """A line for each of these metrics and each system that has clips without a figure, though nothing failed there.

    Such clips have no silence, or no frame that is voiced, and count in no mean of that metric.
    """
    failed = {(failure.system, failure.clip) for failure in evaluation.failures}
    for metric in find_metrics(keys):
        for name, clips in evaluation.values.items():
            blank = [clip for clip in clips if metric.key not in clips[clip] and (name, clip) not in failed]
            if blank:
                more = f" and {len(blank) - N_NAMED} more" if len(blank) > N_NAMED else ""
                yield (
                    f"{metric.heading}: nothing to measure in {len(blank)} of {len(clips)} clips of {name}: "
                    f"{', '.join(blank[:N_NAMED])}{more}"
                )
