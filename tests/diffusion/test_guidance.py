"""Classifier-free guidance."""

import torch

from wavegrad.diffusion.guidance import guided

F64 = torch.float64


class Counted:
    """A predictor for N(mean, std^2), and how often it was asked."""

    def __init__(self, mean: float, std: float):
        self.mean, self.std, self.calls = mean, std, 0

    def __call__(self, y: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        signal = level[:, None] ** 2
        return (1 - signal).sqrt() * (y - level[:, None] * self.mean) / (signal * self.std**2 + 1 - signal)


def test_without_weight_it_is_the_plain_model_at_one_call():
    conditional, unconditional = Counted(1, 1), Counted(0, 2)
    y, level = torch.randn(2, 50, dtype=F64, generator=torch.Generator().manual_seed(0)), torch.tensor([0.3, 0.9])
    found = guided(conditional, unconditional, 0.0)(y, level.double())
    assert (conditional.calls, unconditional.calls) == (1, 0)
    assert torch.equal(found, conditional(y, level.double()))


def test_the_score_is_that_of_the_sharpened_density():
    """(1 + w) eps_c - w eps_u is the score of p_c^(1+w) / p_u^w (Ho and Salimans 2022, sec. 3.2): for two Gaussians a
    third one, whose precision is (1 + w) / s_c^2 - w / s_u^2."""
    weight, level = 1.5, 0.6
    y = torch.linspace(-3, 3, 41, dtype=F64)[None]
    conditional, unconditional = Counted(0.5, 0.4), Counted(-0.2, 1.3)
    found = guided(conditional, unconditional, weight)(y, torch.tensor([level], dtype=F64))
    assert (conditional.calls, unconditional.calls) == (1, 1)
    noise_variance = 1 - level**2
    precisions = [1 / (level**2 * p.std**2 + noise_variance) for p in (conditional, unconditional)]
    precision = (1 + weight) * precisions[0] - weight * precisions[1]
    mean = ((1 + weight) * precisions[0] * level * 0.5 - weight * precisions[1] * level * -0.2) / precision
    expected = noise_variance**0.5 * precision * (y - mean)  # eps = -sqrt(1 - alpha_bar) * score
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_minus_one_ignores_the_condition():
    y, level = torch.ones(1, 3, dtype=F64), torch.tensor([0.5], dtype=F64)
    torch.testing.assert_close(guided(Counted(1, 1), Counted(0, 2), -1.0)(y, level), Counted(0, 2)(y, level))
