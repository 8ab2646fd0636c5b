"""Several schedules sampled side by side: the same network call is made once, and different ones go as one batch."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import WavegradError
from wavegrad.shapes import NoiseLevel, PredictNoise, Waveform

AnySampler = Callable[..., Waveform]
"""sampler(predict_noise, schedule, n_samples, seeds, *, device, dtype, on_step) -> `batch time`."""


@dataclass
class Calls:
    """Items that went through the network, and those that another one's result was used for."""

    made: int = 0
    shared: int = 0


@dataclass
class _Request:
    y: Waveform
    level: NoiseLevel

    def key(self) -> tuple[bytes, bytes]:
        return self.y.cpu().numpy().tobytes(), self.level.cpu().numpy().tobytes()


@dataclass
class _Lane:
    """One schedule on its way; it hands a request over, and sleeps until the answer is there."""

    request: _Request | None = None
    answer: Waveform | BaseException | None = None
    result: Waveform | None = None
    error: BaseException | None = None
    handed_over: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    answered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def ask(self, y: Waveform, level: NoiseLevel) -> Waveform:
        self.request = _Request(y, level)
        self.handed_over.release()
        self.answered.acquire()
        answer, self.answer = self.answer, None
        if isinstance(answer, BaseException):
            raise answer
        assert answer is not None
        return answer


def sample_together(
    predict_noise: PredictNoise,
    sampler: AnySampler | Sequence[AnySampler],
    schedules: Sequence[NoiseSchedule],
    n_samples: int,
    seed: int,
    device: torch.device | str = "cpu",
) -> tuple[list[Waveform | None], Calls]:
    """Sample each schedule with the same seed.

    The k-th network call of all schedules is one batch. What two of them ask alike, the same waveform at the same
    level, is asked once: schedules that have their noisiest levels in common share those calls, with any sampler, since
    it is a function of its arguments. Each sampler runs in a thread of its own, but only one of them at a time.

    Args:
        predict_noise: epsilon_theta with its condition bound, for a batch of any size of the same clip.
        sampler: any callable of `wavegrad.diffusion.Sampler`'s signature, or one for each schedule.
        schedules: of any lengths.
        n_samples: of the clip.
        seed: of all of them.
        device: where the waveform lives.

    Returns:
        For each schedule its waveform, `1 time`, or None where sampling diverged; and the network calls.
    """
    samplers = list(sampler) if isinstance(sampler, Sequence) else [sampler] * len(schedules)
    lanes = [_Lane() for _ in schedules]

    def travel(lane: _Lane, sampler: AnySampler, schedule: NoiseSchedule) -> None:
        try:
            with torch.inference_mode():
                lane.result = sampler(lane.ask, schedule, n_samples, [seed], device=device)
        except BaseException as error:
            lane.error = error
        lane.request = None
        lane.handed_over.release()

    calls = Calls()
    for lane, one, schedule in zip(lanes, samplers, schedules, strict=True):
        threading.Thread(target=travel, args=(lane, one, schedule), daemon=True).start()
        lane.handed_over.acquire()
    while waiting := [lane for lane in lanes if lane.request is not None]:
        answers: Any = _answers(predict_noise, [lane.request for lane in waiting if lane.request], calls)
        for lane, answer in zip(waiting, answers, strict=True):
            lane.answer = answer
            lane.answered.release()
            lane.handed_over.acquire()
    for lane in lanes:
        if lane.error is not None and not isinstance(lane.error, WavegradError):
            raise lane.error
    return [lane.result for lane in lanes], calls


def _answers(predict_noise: PredictNoise, requests: list[_Request], calls: Calls) -> list[Waveform | BaseException]:
    unique: dict[tuple[bytes, bytes], int] = {}
    rows = [unique.setdefault(request.key(), len(unique)) for request in requests]
    firsts = [requests[rows.index(i)] for i in range(len(unique))]
    calls.made += len(unique)
    calls.shared += len(requests) - len(unique)
    try:
        with torch.inference_mode():
            predicted = predict_noise(torch.cat([r.y for r in firsts]), torch.cat([r.level for r in firsts]))
    except BaseException as error:
        return [error for _ in requests]
    return [predicted[row : row + 1] for row in rows]
