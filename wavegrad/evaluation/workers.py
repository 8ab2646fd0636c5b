"""Clips shared out to processes."""

import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from wavegrad.errors import WavegradError
from wavegrad.evaluation.measure import Job, record_clip
from wavegrad.evaluation.pairing import Clip
from wavegrad.evaluation.progress import write_record


def work_through(clips: Sequence[Clip], job: Job, n_workers: int) -> Iterator[Clip]:
    """Evaluate the clips and yield each when its record is on disk; with several workers, in the order of finishing.

    Processes are started afresh ("spawn"), which works with CUDA and on every system. They share the CPU threads.

    Raises:
        WavegradError: a worker died, or the systems cannot be sent to one.
    """
    if n_workers == 1 or len(clips) < 2:
        for clip in clips:
            write_record(clip, job, record_clip(clip, job))
            yield clip
        return
    workers: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(n_workers, len(clips))):
            pipe, process = _start(clips, job, max(1, torch.get_num_threads() // n_workers))
            workers[pipe] = process
        yield from _share_out(clips, workers)
    finally:
        for pipe, process in workers.items():
            pipe.close()
            process.terminate()
            process.join()


def _start(clips: Sequence[Clip], job: Job, n_threads: int) -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, clips, job, n_threads), daemon=True)
    try:
        process.start()
    except (AttributeError, TypeError) as error:  # what pickle says of a lambda, or of a lock
        raise WavegradError(f"a system cannot be sent to worker processes: {error}; use one worker") from error
    theirs.close()
    return ours, process


def _share_out(clips: Sequence[Clip], workers: dict[Connection, BaseProcess]) -> Iterator[Clip]:
    """Give each worker a clip, and the next one whenever it is done."""
    left = iter(range(len(clips)))
    busy = {}
    for pipe, i in zip(workers, left, strict=False):
        pipe.send(i)
        busy[pipe] = i
    while busy:
        ready = set(wait(list(busy)))
        for pipe in [pipe for pipe in busy if pipe in ready]:
            try:
                done = pipe.recv()
            except EOFError:
                workers[pipe].join()
                raise WavegradError(
                    f"a worker process ended with code {workers[pipe].exitcode} at {clips[busy[pipe]].reference}; the "
                    "same command goes on where it was, and fewer --workers need less memory"
                ) from None
            del busy[pipe]
            following = next(left, None)
            if following is not None:
                pipe.send(following)
                busy[pipe] = following
            yield clips[done]


def _work(pipe: Connection, clips: Sequence[Clip], job: Job, n_threads: int) -> None:
    """A worker: clip numbers come in and go out, until the other side is gone."""
    torch.set_num_threads(n_threads)
    try:
        while True:
            i = pipe.recv()
            write_record(clips[i], job, record_clip(clips[i], job))
            pipe.send(i)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return
