"""Samplers as sums of state, prediction and noise, against the samplers themselves."""

import pytest
import torch

from wavegrad.diffusion import (
    SAMPLERS,
    DPMSolver,
    LinearStep,
    NoiseSchedule,
    SeededNoise,
    is_linear,
    linear_steps,
    named_sampler,
    sampler_name,
)
from wavegrad.errors import ConfigError

F64 = torch.float64
NAMES = ["ancestral", "ancestral:variance=beta", "ddim", "ddim:eta=0.3", "ddim:eta=1.0", "dpm++1s", "dpm++2m"]
SCHEDULES = [NoiseSchedule.log_snr(n) for n in (1, 2, 5)] + [NoiseSchedule((0.1, 0.02, 0.7, 0.999))]


def predict_noise(y: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Not linear, and another one at every level."""
    return torch.sin(3 * y + level[:, None])


def walked(steps: list[LinearStep], n_samples: int, seeds: list[int]) -> torch.Tensor:
    """`LinearStep` as its docstring says it."""
    noise = SeededNoise(seeds, dtype=F64)
    y, previous = noise(len(steps), n_samples), torch.full((1,), torch.nan, dtype=F64)
    for step in steps:
        level = torch.full((len(seeds),), step.noise_level, dtype=F64)
        predicted = predict_noise(y, level)
        clean = (y - (1 - step.noise_level**2) ** 0.5 * predicted) / step.noise_level
        y = step.of_state * y + step.of_prediction * predicted
        y = y + step.of_previous * previous if step.of_previous else y
        y = y + step.of_noise * noise(step.n - 1, n_samples) if step.of_noise else y
        previous = clean
    return y


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: str(schedule.n_steps))
@pytest.mark.parametrize("name", NAMES)
def test_they_are_their_linear_steps(name: str, schedule: NoiseSchedule) -> None:
    sampler = named_sampler(name)
    steps = linear_steps(sampler, schedule)
    assert [step.n for step in steps] == list(range(schedule.n_steps, 0, -1))
    expected = sampler(predict_noise, schedule, 50, [3, 1], dtype=F64)
    torch.testing.assert_close(walked(steps, 50, [3, 1]), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "dpm++2s",
        "heun",
        "euler-maruyama",
        "predictor-corrector",
        "ancestral:variance=analytic",
        "ancestral:variance=learned",
        "ddim:data_std=0.5",
    ],
)
def test_the_others_are_refused(name: str) -> None:
    assert not is_linear(named_sampler(name))
    with pytest.raises(ConfigError, match=r"cannot be streamed or exported.*take ancestral"):
        linear_steps(named_sampler(name), SCHEDULES[1])


def test_a_name_reads_as_its_sampler() -> None:
    texts = [*SAMPLERS, *NAMES, "ancestral:variance=analytic,data_std=0.001", "heun:data_std=1e-05"]
    for text in texts:
        sampler = named_sampler(text)
        assert named_sampler(sampler_name(sampler)) == sampler
    assert [sampler_name(named_sampler(name)) for name in SAMPLERS] == list(SAMPLERS)
    assert sampler_name(DPMSolver(variant="2M", data_std=0.5)) == "dpm++2m:data_std=0.5"
