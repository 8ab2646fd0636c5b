"""Options of the network for other members of the family: an index for the level, a learned variance, no condition."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tests.network.conftest import SHORT, Make, inputs
from wavegrad.config import from_dict, to_dict
from wavegrad.errors import ConfigError
from wavegrad.network import WaveGrad, WaveGradConfig
from wavegrad.network.noise_embedding import NoiseEmbedding

LEVELS = (0.9999, 0.99, 0.7, 0.1)


def test_options_that_are_off_leave_no_trace() -> None:
    """The same weights as ever, with the same initial values; those that are on only add theirs."""
    made = []
    for config in (SHORT, replace(SHORT, learned_variance=True, null_condition=True)):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made.append(WaveGrad(config))
    plain, other = made
    names = set(plain.state_dict())
    assert set(other.state_dict()) - names == {"null_mel"}
    for name in names - {"output_conv.weight", "output_conv.bias"}:
        assert torch.equal(plain.state_dict()[name], other.state_dict()[name]), name
    assert set(to_dict(SHORT)) & {"step_levels"} == set()


def test_a_config_from_before_these_options_is_read() -> None:
    old = {k: v for k, v in to_dict(SHORT).items() if k not in ("learned_variance", "null_condition")}
    assert from_dict(WaveGradConfig, json.loads(json.dumps(old)), "config.json") == SHORT


def test_a_config_with_all_of_them_comes_back() -> None:
    config = replace(SHORT, step_levels=LEVELS, learned_variance=True, null_condition=True)
    assert from_dict(WaveGradConfig, json.loads(json.dumps(to_dict(config))), "config.json") == config


def test_the_index_is_embedded_as_in_the_transformer() -> None:
    """sin and cos of n 10^(-4 i / half) for n = 1 ... N, whatever the precision of the levels."""
    for dtype in (torch.float32, torch.float64):
        embedded = NoiseEmbedding(16, step_levels=LEVELS)(torch.tensor(LEVELS, dtype=dtype))
        for n, row in enumerate(embedded.tolist(), start=1):
            angles = [n / 10 ** (4 * i / 8) for i in range(8)]
            assert row == pytest.approx([f(a) for f in (math.sin, math.cos) for a in angles], abs=1e-6)


def test_close_steps_of_the_papers_schedule_keep_their_index_in_float32() -> None:
    """sqrt(1 - 1e-6) and the next levels differ in the sixth digit."""
    betas = torch.linspace(1e-6, 0.01, 1000, dtype=torch.float64)
    levels = (1 - betas).cumprod(0).sqrt()
    embedding = NoiseEmbedding(2, step_levels=tuple(levels.tolist()))
    index = torch.atan2(*embedding(levels.float()).T)  # the only frequency is 1: n modulo 2 pi
    expected = torch.arange(1, 1001).float()
    torch.testing.assert_close((index - expected).cos(), torch.ones(1000), rtol=0, atol=1e-5)


def test_a_network_that_is_told_the_index_does_not_see_the_level(make: Make) -> None:
    """Two schedules, the same index: the same output."""
    network, other = make(step_levels=LEVELS), make(step_levels=(0.8, 0.5, 0.3, 0.2))
    y, mel, _ = inputs(network)
    ours = network(y, mel, torch.tensor([0.99, 0.1], dtype=torch.float64))
    assert torch.equal(ours, other(y, mel, torch.tensor([0.5, 0.2], dtype=torch.float64)))
    assert not torch.equal(ours, other(y, mel, torch.tensor([0.5, 0.3], dtype=torch.float64)))


def test_the_variance_is_a_second_output(make: Make) -> None:
    network = make(learned_variance=True)
    y, mel, level = inputs(network)
    noise, v = network.noise_and_variance(y, mel, level)
    assert torch.equal(noise, network(y, mel, level))
    assert v.shape == y.shape
    assert ((v > 0) & (v < 1)).all()
    with torch.no_grad():
        network.output_conv.weight[1] = 0.0
        network.output_conv.bias[1] = math.log(3)
    noise_then, v_then = network.noise_and_variance(y, mel, level)
    torch.testing.assert_close(noise_then, noise, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(v_then, torch.full_like(v, 0.75), check_dtype=False)


def test_no_condition_is_a_mel_for_the_network(make: Make) -> None:
    """It starts as the mean of the corpus, flat; it is a weight, and hears nothing of the mel."""
    network = make(null_condition=True, mel_mean=-5.0, mel_std=2.0)
    y, mel, level = inputs(network)
    nothing = network.no_condition(mel)
    assert torch.equal(nothing, torch.full_like(mel, -5.0))
    network(y, nothing, level).sum().backward()
    assert network.null_mel is not None
    assert (network.null_mel.grad != 0).any()
    assert torch.equal(network.no_condition(mel + 1), nothing)


def test_what_a_network_does_not_have_is_refused(make: Make) -> None:
    network = make()
    with pytest.raises(ConfigError, match=r"no learned variance; train it with objective\.learned_variance"):
        network.noise_and_variance(*inputs(network))
    with pytest.raises(ConfigError, match=r"without dropped conditions; set objective\.condition_dropout"):
        network.no_condition(inputs(network)[1])


@pytest.mark.parametrize(
    ("levels", "message"),
    [((), "empty"), ((0.9, 0.9), "level 2 is 0.9"), ((1.0, 0.5), "level 1 is 1.0"), ((0.9, 0.0), "level 2 is 0.0")],
)
def test_levels_that_make_no_schedule_are_refused(levels: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(SHORT, step_levels=levels)


def test_the_borders_travel_with_the_network_and_not_with_its_weights() -> None:
    network = WaveGrad(replace(SHORT, step_levels=LEVELS))
    assert not [name for name in network.state_dict() if "borders" in name]
