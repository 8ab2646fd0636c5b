"""Learning rate and averaged weights, against their closed forms."""

import itertools
import math

import pytest
import torch
from torch import nn

from wavegrad.network import WaveGrad, network_preset
from wavegrad.training.ema import Ema
from wavegrad.training.optimizer import build_optimizer, learning_rate
from wavegrad.training.recipe import OptimizerRecipe


def test_learning_rate_warms_up_and_falls_as_a_cosine():
    recipe = OptimizerRecipe(learning_rate=1.0, warmup_steps=10, final_rate=0.1)
    rates = [learning_rate(i, 111, recipe) for i in range(111)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert rates[60] == pytest.approx(0.1 + 0.9 * 0.5)
    assert rates[110] == pytest.approx(0.1)
    assert all(a >= b for a, b in itertools.pairwise(rates[10:]))


def test_constant_learning_rate():
    recipe = OptimizerRecipe(learning_rate=0.3, warmup_steps=0, decay="constant")
    assert {learning_rate(i, 50, recipe) for i in range(50)} == {0.3}


def test_the_average_is_the_recursion_of_its_definition():
    network = WaveGrad(network_preset("tiny")).double()
    weight = network.output_conv.weight
    ema = Ema(network, decay=0.5)
    expected = weight.detach().clone()
    for step in range(12):
        with torch.no_grad():
            weight.add_(torch.full_like(weight, float(step)))
        ema.update(network, step, skip=torch.zeros((), dtype=torch.float64))
        d = min(0.5, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * weight.detach()
    torch.testing.assert_close(ema.network.output_conv.weight, expected, rtol=1e-12, atol=1e-12)
    assert not ema.network.output_conv.weight.requires_grad


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_first_step_of_adam_moves_every_weight_by_the_learning_rate(name):
    """Bias-corrected moments of one gradient: the step is lr * g / |g|."""
    network = nn.Linear(4, 1, bias=False)
    before = network.weight.detach().clone()
    optimizer = build_optimizer(network, OptimizerRecipe(name=name, learning_rate=0.01))
    network(torch.tensor([[1.0, -2.0, 3.0, -4.0]])).sum().backward()
    optimizer.step()
    torch.testing.assert_close(network.weight.detach() - before, -0.01 * torch.tensor([[1.0, -1.0, 1.0, -1.0]]))


def test_weight_decay_of_adamw_is_decoupled():
    network = nn.Linear(1, 1, bias=False)
    optimizer = build_optimizer(network, OptimizerRecipe(name="adamw", learning_rate=0.1, weight_decay=0.5))
    before = network.weight.item()
    (network(torch.ones(1, 1)) * 0).sum().backward()
    optimizer.step()
    assert math.isclose(network.weight.item(), before * (1 - 0.1 * 0.5), rel_tol=1e-6)
