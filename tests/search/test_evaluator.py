"""What a task is judged by, against the vocoder itself."""

from pathlib import Path

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule, SeededNoise
from wavegrad.evaluation import METRICS
from wavegrad.search import LOSS, Task, VocoderSetup, schedule_bound
from wavegrad.search.space import level_of_db
from wavegrad.vocoder import Vocoder

REFERENCE = Path(__file__).parents[2] / "samples" / "reference"
CLIPS = tuple(str(REFERENCE / f"{name}.flac") for name in ("kathleen", "nathalie"))
SCHEDULES = (NoiseSchedule.log_snr(2, 20.0, -20.0), NoiseSchedule.log_snr(3, 10.0, -20.0))


def setup(model: str, objective: str) -> VocoderSetup:
    return VocoderSetup(model, CLIPS, objective, seed=3, seconds=0.3)


def test_scores_are_of_what_the_vocoder_makes_from_the_seed_of_the_clip(model: str) -> None:
    """Schedules of different lengths side by side."""
    judge = setup(model, "log_mel_db").build()
    reference, mel = judge.clip(1)
    assert reference.shape == (1, 7200)
    vocoder = Vocoder.from_pretrained(model)
    made = [vocoder(mel, schedule, 3 + 1)[0] for schedule in SCHEDULES]
    expected = [-METRICS["log_mel_db"].compute(reference[0], one, vocoder.sample_rate) for one in made]
    outcome = judge(Task(tuple(schedule.betas for schedule in SCHEDULES), 1))
    assert outcome.scores == pytest.approx(expected, abs=1e-3)
    assert outcome.calls + outcome.shared == 5


def test_losses_and_bounds_of_a_network_that_predicts_next_to_nothing(model: str) -> None:
    """Then the loss is the mean square of the noise at every level, and the bound follows from it."""
    level = level_of_db(-20.0)
    noise = SeededNoise([3], torch.device("cpu"))(0, 7200)
    outcome = setup(model, LOSS).build()(Task(((1 - level**2,), (0.5, 0.5)), 0))
    assert outcome.scores == pytest.approx([noise.square().mean().item()] * 2, rel=0.02)
    judge = setup(model, "bound").build()
    losses = dict.fromkeys(SCHEDULES[0].noise_levels.tolist(), noise.square().mean().item())
    (_, power) = judge.losses((), 0)
    bounds = judge(Task((SCHEDULES[0].betas,), 0))
    assert bounds.scores == pytest.approx([-schedule_bound(SCHEDULES[0], losses, power)], rel=0.02)
    assert bounds.calls == 2
