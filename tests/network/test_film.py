"""Identities of feature-wise linear modulation."""

import pytest
import torch
from torch import Tensor

from tests.network.conftest import Make, inputs
from wavegrad.network.film import FiLM, modulate
from wavegrad.network.ublock import UBlock

LEVELS = torch.tensor([0.3, 0.9], dtype=torch.float64)


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def film() -> FiLM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FiLM(6, 4, 8, 5000.0, 0.2).double()


def neutral(film: FiLM) -> None:
    """Scale 1 and shift 0, whatever it is given."""
    with torch.no_grad():
        film.output.weight.zero_()
        film.output.bias[:4] = 1
        film.output.bias[4:] = 0


def test_a_neutral_film_leaves_a_ublock_without_film(film: FiLM) -> None:
    torch.manual_seed(0)
    ublock = UBlock(5, 4, 3, (1, 2, 4, 8), "nearest", 0.2).double()
    neutral(film)
    x = randn(2, 5, 20)
    conv_1, conv_2, conv_3, conv_4 = ublock.convs

    def act(x: Tensor) -> Tensor:
        return torch.nn.functional.leaky_relu(x, 0.2)

    main = conv_2(act(conv_1(act(x).repeat_interleave(3, 2))))
    h = ublock.residual(x.repeat_interleave(3, 2)) + main
    expected = h + conv_4(act(conv_3(act(h))))
    torch.testing.assert_close(ublock(x, film(randn(2, 6, 60), LEVELS)), expected, rtol=0, atol=1e-12)


def test_a_fresh_film_passes_its_features_on_about() -> None:
    """The bias of the scale is 1 and that of the shift 0."""
    film = FiLM(6, 4, 8, 5000.0, 0.2)
    assert torch.equal(film.output.bias, torch.tensor([1.0] * 4 + [0.0] * 4))


def test_the_scale_comes_first(film: FiLM) -> None:
    neutral(film)
    scale, shift = film(randn(2, 6, 10), LEVELS).chunk(2, dim=1)
    assert torch.equal(scale, torch.ones(2, 4, 10, dtype=torch.float64))
    assert torch.equal(shift, torch.zeros(2, 4, 10, dtype=torch.float64))


def test_modulation_is_affine() -> None:
    x, scale, shift = randn(3, 2, 4, 7)
    film = torch.cat((scale, shift), dim=1)
    torch.testing.assert_close(modulate(x, film), scale * x + shift, rtol=0, atol=1e-12)
    torch.testing.assert_close(modulate(2 * x, film) - modulate(x, film), scale * x, rtol=0, atol=1e-12)


def test_its_output_is_linear_in_its_last_weights(film: FiLM) -> None:
    x = randn(2, 6, 10)
    single = film(x, LEVELS)
    with torch.no_grad():
        film.output.weight.mul_(-3)
        film.output.bias.mul_(-3)
    torch.testing.assert_close(film(x, LEVELS), -3 * single, rtol=0, atol=1e-12)


def test_the_level_adds_the_same_at_every_time(film: FiLM) -> None:
    """The embedding comes after the LeakyReLU and before a convolution: away from the ends, two levels differ by the
    sum of that convolution's taps times the difference of their embeddings, whatever the signal."""
    x = randn(1, 6, 10)
    low, high = (film(x, level[None]) for level in LEVELS)
    embedded = film.embedding(LEVELS)
    expected = film.output.weight.sum(2) @ (embedded[1] - embedded[0])
    torch.testing.assert_close((high - low)[0, :, 1:-1], expected[:, None].expand(8, 8), rtol=0, atol=1e-12)


def test_with_neutral_films_neither_waveform_nor_level_matters(make: Make) -> None:
    """All that the network knows of them goes through its FiLMs."""
    network = make()
    y, mel, level = inputs(network)
    plain = network(y, mel, level)
    assert not torch.allclose(network(-y, mel, level), plain)
    assert not torch.allclose(network(y, mel, level / 2), plain)
    for film in network.films:
        torch.nn.init.zeros_(film.output.weight)
    neutral_output = network(y, mel, level)
    assert torch.equal(network(-y, mel, level / 2), neutral_output)
    assert not torch.allclose(network(y, -mel, level), neutral_output)
