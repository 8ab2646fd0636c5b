"""What a task is judged by, against the vocoder itself."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from wavegrad.diffusion import NoiseSchedule, SeededNoise
from wavegrad.evaluation import METRICS
from wavegrad.search import LOSS, Task, VocoderSetup, schedule_bound
from wavegrad.search.evaluator import VocoderEvaluator
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


def test_the_precision_is_that_of_a_call(model: str) -> None:
    """bfloat16 gives what the vocoder gives in bfloat16, which is something else than in float32."""
    schedule = SCHEDULES[1]
    judge = replace(setup(model, "log_mel_db"), precision="bfloat16").build()
    mel = judge.clip(0)[1]
    (made,), _ = judge.synthesise([schedule], mel, 3)
    assert made is not None
    expected, wide = (judge.vocoder(mel, schedule, 3, precision=name) for name in ("bfloat16", "float32"))
    torch.testing.assert_close(made, expected)
    assert (made - wide).abs().max() > 1e-5 * wide.abs().max()
    assert judge.setup.identity() != setup(model, "log_mel_db").identity()


def silenced(model: str, objective: str) -> VocoderEvaluator:
    """A judge whose network predicts zero."""
    judge = setup(model, objective).build()
    for parameter in judge.vocoder.network.output_conv.parameters():
        torch.nn.init.zeros_(parameter)
    return judge


def test_losses_and_bounds_of_a_network_that_predicts_nothing(model: str) -> None:
    """Then the loss is the mean square of the noise at every level, and the bound follows from it."""
    loss = SeededNoise([3], torch.device("cpu"))(0, 7200).square().mean().item()
    outcome = silenced(model, LOSS)(Task(((0.99,), (0.5, 0.5)), 0))
    assert outcome.scores == pytest.approx([loss] * 2)
    judge = silenced(model, "bound")
    _, power = judge.losses((), 0)
    losses = dict.fromkeys(SCHEDULES[0].noise_levels.tolist(), loss)
    bounds = judge(Task((SCHEDULES[0].betas,), 0))
    assert bounds.scores == pytest.approx([-schedule_bound(SCHEDULES[0], losses, power)])
    assert bounds.calls == 2


def test_the_loss_is_of_the_noisiest_level(model: str) -> None:
    judge = setup(model, LOSS).build()
    one, two = judge(Task(((0.75,), (0.5, 0.5)), 0)).scores
    assert one == pytest.approx(two, rel=1e-5)
    assert judge(Task(((0.5,),), 0)).scores[0] != pytest.approx(one, rel=1e-3)
