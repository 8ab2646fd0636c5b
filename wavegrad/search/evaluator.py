"""The objective of a few schedules on one clip: what one task of a search computes."""

import hashlib
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F

from wavegrad.audio.io import read_audio
from wavegrad.audio.prior import colour, whiten
from wavegrad.checkpoint import resolve_model
from wavegrad.device import Precision
from wavegrad.diffusion import NoiseSchedule, ScheduleWarning, choose_sampler, diffuse, seeded_noise
from wavegrad.errors import WavegradError
from wavegrad.evaluation import METRICS
from wavegrad.search.bound import Reverse, schedule_bound
from wavegrad.search.objective import Objective
from wavegrad.search.together import Calls, sample_together
from wavegrad.shapes import Mel, NoiseLevel, PredictNoise, Waveform
from wavegrad.vocoder import Vocoder

LOSS = "loss"
"""Instead of an objective: the mean square error of the predicted noise at the noisiest level of each schedule."""


@dataclass(frozen=True)
class Task:
    """Some schedules, to be judged on one clip; the unit of work, of batching and of the journal."""

    betas: tuple[tuple[float, ...], ...]
    clip: int

    def key(self) -> str:
        """The same for the same task, in every process."""
        return hashlib.sha256(repr((self.betas, self.clip)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """What became of a task."""

    scores: tuple[float, ...]
    """One for each schedule; -inf where sampling diverged or the audio could not be judged."""
    calls: int
    """Items that went through the network."""
    shared: int
    """Items that were spared because another schedule of the task had asked the same."""


Evaluate = Callable[[Task], Outcome]
"""Judges tasks."""


@runtime_checkable
class Setup(Protocol):
    """What a worker needs to become able to judge; small, and picklable."""

    def build(self) -> Evaluate: ...

    def identity(self) -> str:
        """Different wherever results may differ."""
        ...


@dataclass(frozen=True)
class VocoderSetup:
    """Copy synthesis of clips by a vocoder."""

    model: str | None
    """As for `Vocoder.from_pretrained`."""
    clips: tuple[str, ...]
    """Recordings."""
    objective: str = "pesq_wb"
    """See `Objective`; or LOSS, for tables."""
    sampler: str | None = None
    """See `named_sampler`; None is the default for the number of steps."""
    seed: int = 0
    """Clip i is made from seed + i, whatever the schedule."""
    seconds: float | None = None
    """Only so much of each clip, from its middle."""
    device: str = "cpu"
    threads: int | None = 1
    """CPU threads of each worker; None: as they are. One number gives one rounding."""
    reverse: Reverse = "posterior"
    """For the bound: variance of the steps back."""
    precision: Precision = "float32"
    """Of the network's arithmetic."""

    def build(self) -> "VocoderEvaluator":
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return VocoderEvaluator(self, Vocoder.from_pretrained(self.model).to(self.device))

    def for_judging(self, others: Sequence[str]) -> "VocoderSetup":
        """The same with noise that this one has not heard, and on other recordings where there are any."""
        return replace(self, clips=tuple(others) or self.clips, seed=self.seed + len(self.clips))

    def model_hash(self) -> str:
        """SHA-256 of the weights."""
        return hashlib.sha256((resolve_model(self.model) / "model.safetensors").read_bytes()).hexdigest()

    def identity(self) -> str:
        clips = [hashlib.sha256(Path(clip).read_bytes()).hexdigest() for clip in self.clips]
        how = (self.sampler, self.seed, self.seconds, self.device, self.threads, self.precision, self.reverse)
        return hashlib.sha256(repr((self.model_hash(), clips, self.objective, how)).encode()).hexdigest()


class VocoderEvaluator:
    """Holds the vocoder and the clips; no call changes either."""

    def __init__(self, setup: VocoderSetup, vocoder: Vocoder):
        self.setup = setup
        self.vocoder = vocoder
        self.objective = None if setup.objective == LOSS else Objective.parse(setup.objective)

    def __call__(self, task: Task) -> Outcome:
        """Judge the schedules of a task, together."""
        reference, mel = self.clip(task.clip)
        schedules = [NoiseSchedule(betas) for betas in task.betas]
        if self.objective is None:
            return self._losses(schedules, task.clip)
        if not self.objective.needs_synthesis:
            return self._bounds(schedules, task.clip)
        audio, calls = self.synthesise(schedules, mel, self.setup.seed + task.clip)
        scores = tuple(self._score(reference, one) for one in audio)
        return Outcome(scores, calls.made, calls.shared)

    def clip(self, index: int) -> tuple[Waveform, Mel]:
        """Reference `1 time`, a whole number of frames, and mel of a clip."""
        waveform, rate = read_audio(self.setup.clips[index], self.vocoder.sample_rate)
        if self.setup.seconds is not None:
            n = min(len(waveform), int(self.setup.seconds * rate))
            first = (len(waveform) - n) // 2
            waveform = waveform[first : first + n]
        reference = F.pad(waveform, (0, -len(waveform) % self.vocoder.hop_length))[None]
        return reference, self.vocoder.mel(reference)

    def synthesise(
        self, schedules: Sequence[NoiseSchedule], mel: Mel, seed: int
    ) -> tuple[list[Waveform | None], Calls]:
        """Audio `1 time` of each schedule, None where sampling diverged."""
        samplers = [choose_sampler(self.setup.sampler, None, schedule.n_steps) for schedule in schedules]
        n_samples = mel.shape[2] * self.vocoder.hop_length
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ScheduleWarning)  # that is what the search finds out
            y_0, calls = sample_together(self._predict(mel), samplers, schedules, n_samples, seed, self.vocoder.device)
        with torch.inference_mode():
            gains = self.vocoder.prior_gains(mel)
            return [None if one is None else colour(one, gains) for one in y_0], calls

    def power(self) -> float:
        """Mean of y_0^2 over the clips; no network call."""
        return sum(self.losses((), i)[1] for i in range(len(self.setup.clips))) / len(self.setup.clips)

    def losses(self, levels: Sequence[float], index: int) -> tuple[list[float], float]:
        """E|epsilon - epsilon_theta|^2 at each level, with the same noise at all of them, and the mean of y_0^2."""
        reference, mel = self.clip(index)
        with torch.inference_mode():
            gains = self.vocoder.prior_gains(mel)
            y_0 = whiten(reference.to(mel.device), gains)
            noise = seeded_noise([self.setup.seed + index], mel.device)(0, y_0.shape[1])
            predict = self._predict(mel)
            found = []
            for value in levels:
                level = torch.full((1,), value, device=mel.device)
                found.append((predict(diffuse(y_0, level, noise), level) - noise).square().mean().item())
        return found, y_0.square().mean().item()

    def _bounds(self, schedules: Sequence[NoiseSchedule], index: int) -> Outcome:
        asked = [schedule.noise_levels.tolist()[1:] for schedule in schedules]
        levels = sorted({level for one in asked for level in one}, reverse=True)
        losses, power = self.losses(levels, index)
        table = dict(zip(levels, losses, strict=True))
        scores = tuple(-schedule_bound(s, table, power, self.setup.reverse) for s in schedules)
        return Outcome(scores, len(levels), sum(len(one) for one in asked) - len(levels))

    def _losses(self, schedules: Sequence[NoiseSchedule], index: int) -> Outcome:
        losses, _ = self.losses([schedule.terminal_level for schedule in schedules], index)
        return Outcome(tuple(losses), len(losses), 0)

    def _predict(self, mel: Mel) -> PredictNoise:
        @cache
        def bound(n_items: int) -> PredictNoise:
            same_mel = mel.expand(n_items, -1, -1)
            return self.vocoder.predict_noise(same_mel, precision=self.setup.precision, engine="fast")

        def predict_noise(y: Waveform, level: NoiseLevel) -> Waveform:
            result = torch.empty_like(y)
            for value in level.unique():  # the engine takes one level at a time
                rows = level == value
                result[rows] = bound(int(rows.sum()))(y[rows], level[rows])
            return result

        return predict_noise

    def _score(self, reference: Waveform, generated: Waveform | None) -> float:
        if generated is None or self.objective is None:
            return -math.inf
        try:
            figures = {
                key: METRICS[key].compute(reference[0].cpu(), generated[0].cpu(), self.vocoder.sample_rate)
                for key in self.objective.keys
            }
        except WavegradError:
            return -math.inf
        score = self.objective.score(figures)
        return score if math.isfinite(score) else -math.inf
