"""What a search found beside the known schedules, where it has not looked."""

from collections.abc import Sequence

from wavegrad.diffusion import NoiseSchedule
from wavegrad.search.evaluator import Task
from wavegrad.search.journal import Journal
from wavegrad.search.result import Judged
from wavegrad.search.workers import Pool


def judge(schedules: Sequence[NoiseSchedule], n_clips: int, pool: Pool, journal: Journal) -> list[Judged]:
    """Each schedule for itself, on every clip. The best of many on the clips of a search is flattered by it: give this
    the pool of other clips, or at least of other noise (`VocoderSetup.for_judging`).

    Args:
        schedules: of any lengths.
        n_clips: of the pool's setup.
        pool: computes.
        journal: remembers; what it has is not computed again.
    """
    tasks = [[Task((one.betas,), clip) for clip in range(n_clips)] for one in schedules]
    missing = [task for row in tasks for task in row if task.key() not in journal.outcomes]
    with pool:
        for task, outcome, seconds in pool.run(missing):
            journal.add(task.key(), outcome, seconds)
    scores = [tuple(journal.outcomes[task.key()].scores[0] for task in row) for row in tasks]
    return [Judged(one, s) for one, s in zip(schedules, scores, strict=True)]
