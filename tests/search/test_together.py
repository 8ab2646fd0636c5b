"""Schedules sampled side by side against each for itself."""

import pytest
import torch

from wavegrad.diffusion import DDIM, Ancestral, DPMSolver, Heun, NoiseSchedule, Sampler
from wavegrad.errors import WavegradError
from wavegrad.search import sample_together
from wavegrad.shapes import NoiseLevel, Waveform

SHARED = [
    NoiseSchedule.from_noise_levels(levels)
    for levels in ((0.99, 0.8, 0.4, 0.1), (0.98, 0.8, 0.4, 0.1), (0.7, 0.5, 0.1))
]


class Exact:
    """The exact predictor for N(0, 1) data; it counts."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, y: Waveform, level: NoiseLevel) -> Waveform:
        self.batches.append(len(y))
        return (1 - level[:, None].square()).sqrt() * y


@pytest.mark.parametrize("sampler", [Ancestral(), DDIM(), Heun(), DPMSolver(variant="2M"), DPMSolver(variant="2S")])
def test_together_is_as_alone(sampler: Sampler) -> None:
    exact = Exact()
    together, calls = sample_together(exact, sampler, SHARED, 500, 3)
    assert sum(exact.batches) == calls.made
    assert calls.made + calls.shared == sum(sampler.n_calls(schedule) for schedule in SHARED)
    for one, schedule in zip(together, SHARED, strict=True):
        assert one is not None
        torch.testing.assert_close(one, sampler(Exact(), schedule, 500, [3]))


def test_common_noisiest_levels_are_computed_once() -> None:
    """4 + 4 calls; the first two share y_4 and, being at levels 0.4 and 0.8 alike, the calls at 0.1, 0.4 and 0.8 but
    for what the clean end changes: level 1 enters the last step but one, through the variance of its noise."""
    exact = Exact()
    _, calls = sample_together(exact, Ancestral(), SHARED[:2], 100, 0)
    assert (calls.made, calls.shared) == (5, 3)
    assert exact.batches == [1, 1, 1, 2]


def test_the_same_waveform_at_another_level_is_another_question() -> None:
    def one_look(predict, schedule, n_samples, seeds, *, device):  # type: ignore[no-untyped-def]
        return predict(torch.ones(1, n_samples), torch.full((1,), schedule.terminal_level))

    schedules = [NoiseSchedule.from_noise_levels([level]) for level in (0.1, 0.6, 0.1)]
    results, calls = sample_together(Exact(), one_look, schedules, 5, 0)
    assert (calls.made, calls.shared) == (2, 1)
    assert [one[0, 0].item() for one in results if one is not None] == pytest.approx([0.99**0.5, 0.8, 0.99**0.5])


def test_a_sampler_that_diverges_does_not_stop_the_others() -> None:
    def diverges_at_half(y: Waveform, level: NoiseLevel) -> Waveform:
        return torch.where(level[:, None] == 0.5, torch.nan, y)

    results, _ = sample_together(diverges_at_half, Ancestral(), [*SHARED[:1], SHARED[2]], 10, 0)
    assert results[0] is not None
    assert results[1] is None


def test_other_errors_come_through() -> None:
    def broken(y: Waveform, level: NoiseLevel) -> Waveform:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        sample_together(broken, Ancestral(), SHARED, 10, 0)
    assert issubclass(WavegradError, ValueError)
