"""The whole network: size, cost, lengths, independence of items, precision, gradients."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.network.conftest import SHORT, Make, inputs
from tests.reference import paper_network
from wavegrad.network import WaveGrad, WaveGradConfig, network_preset
from wavegrad.network.presets import FACTORS

LAYOUTS: list[dict[str, Any]] = [
    {},
    {"blocks_per_level": 2},
    {"downsampling": "nearest", "level_scale": 1.0},
    {"downsampling": "linear", "upsampling": "linear"},
]


@pytest.mark.parametrize("blocks_per_level", [1, 2])
@pytest.mark.parametrize("factors", [(3, 2, 2), (2, 5, 3), (4, 1, 2)])
def test_it_computes_what_the_paper_draws(make: Make, factors: tuple[int, ...], blocks_per_level: int) -> None:
    """Against an independent network, rebuilt from single convolutions. Measured: 1e-14."""
    network = make(factors=factors, blocks_per_level=blocks_per_level)
    y, mel, level = inputs(network)
    state = dict(network.state_dict())
    dilations = network.config.ublock_dilations
    expected = paper_network.predict(state, y, mel, level, factors, dilations, blocks_per_level)
    torch.testing.assert_close(network(y, mel, level), expected, rtol=0, atol=1e-10)


@pytest.fixture
def without_orthogonal_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of Base take seconds, and neither size nor cost depends on them."""
    monkeypatch.setattr(torch.nn.init, "orthogonal_", lambda weight: weight)


def n_parameters(config: WaveGradConfig) -> int:
    with torch.random.fork_rng():
        return sum(p.numel() for p in WaveGrad(config).parameters())


@pytest.mark.usefixtures("without_orthogonal_weights")
def test_base_and_large_have_the_sizes_of_their_description() -> None:
    """The public interpolating layout has 15,920,993 parameters at 128 mels, 15,810,401 at 80 (as reported by its
    authors). A stride of f widens the first kernel of a DBlock from 3 to f + 2. Large adds, at each level, a block of
    the same width c without a resampling: 13 c^2 + 5 c (UBlock), 10 c^2 + 4 c (DBlock)."""
    base = network_preset("base")
    interpolating = replace(base, downsampling="nearest")
    assert n_parameters(interpolating) == 15_920_993
    assert n_parameters(replace(interpolating, n_mels=80)) == 15_810_401
    wider = sum(
        (f - 1) * n_in * n_out for f, n_in, n_out in [(2, 32, 128), (2, 128, 128), (3, 128, 256), (5, 256, 512)]
    )
    strided = 15_920_993 + wider
    assert n_parameters(base) == strided == 16_531_297
    more = sum(13 * c**2 + 5 * c for c in base.ublock_channels) + sum(10 * c**2 + 4 * c for c in base.dblock_channels)
    assert n_parameters(network_preset("large")) == strided + more == 28_241_249


def test_small_and_tiny_stay_as_they_are() -> None:
    """Models of these sizes are shipped, and saved by users."""
    assert n_parameters(network_preset("small")) == 2_118_417
    assert n_parameters(network_preset("tiny")) == 47_197


def operations(config: WaveGradConfig, n_frames: int = 2) -> int:
    """Of one call, per sample."""
    with torch.random.fork_rng():
        network = WaveGrad(config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs(network, 1, n_frames))
    return counter.get_total_flops() // (n_frames * config.hop_length)


@pytest.mark.usefixtures("without_orthogonal_weights")
def test_small_costs_a_tenth_of_base_and_tiny_next_to_nothing() -> None:
    """Measured: 1.40 million multiplications per sample for base, 8.9 % of that for small, 0.3 % for tiny."""
    base, small, tiny = (operations(network_preset(name)) for name in ("base", "small", "tiny"))
    assert 2.6e6 < base < 3.0e6  # two for each multiplication
    assert 0.05 < small / base <= 0.11
    assert tiny / base < 0.005


@pytest.mark.parametrize("factors", [*FACTORS.values(), (2, 2, 2, 2, 2), (1, 1, 1, 1, 1), (7, 1, 3, 1, 11)])
@pytest.mark.parametrize("downsampling", ["strided", "nearest", "linear"])
def test_a_frame_gives_exactly_hop_samples(factors: tuple[int, ...], downsampling: Any) -> None:
    network = WaveGrad(replace(network_preset("tiny", 4, factors), downsampling=downsampling))
    for n_frames in (1, 3):
        y, mel, level = inputs(network, 1, n_frames)
        with torch.no_grad():
            assert network(y, mel, level).shape == (1, n_frames * network.config.hop_length)


def test_two_factors_are_enough(make: Make) -> None:
    config = {"factors": (6, 10), "ublock_channels": (8, 6), "dblock_channels": (8,)}
    network = make(**config, ublock_dilations=((1, 2, 4, 8),) * 2)
    assert network(*inputs(network)).shape == (2, 5 * 60)


@pytest.mark.parametrize("fields", LAYOUTS)
def test_items_of_a_batch_do_not_know_each_other(fields: dict[str, Any], make: Make) -> None:
    network = make(**fields)
    y, mel, level = inputs(network, n_items=3)
    alone = [network(y[i : i + 1], mel[i : i + 1], level[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(network(y, mel, level), torch.cat(alone), rtol=0, atol=1e-12)


@pytest.mark.parametrize("fields", LAYOUTS)
def test_gradients_reach_every_weight(fields: dict[str, Any], make: Make) -> None:
    network = make(**fields)
    y, mel, level = inputs(network, n_frames=12)
    network(y, mel, level).square().mean().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert (parameter.grad != 0).all(), name


def test_bfloat16_stays_close() -> None:
    """Measured: 36 to 39 dB of signal to noise; with the angles of the embedding in bfloat16, 0 to 6 dB. (Not with five
    frames: where oneDNN 3.10 emulates bfloat16, a convolution of kernel 1 over exactly five positions is wrong.)"""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = WaveGrad(network_preset("small", 20))
    y, mel, level = inputs(network, n_frames=8)
    with torch.no_grad():
        exact = network(y, mel, level)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(y, mel, level)
    assert rounded.dtype == torch.bfloat16
    snr = 10 * torch.log10(exact.square().mean() / (exact - rounded.float()).square().mean())
    assert snr > 33


def test_no_gradient_is_that_of_a_changed_view(make: Make) -> None:
    """Autograd copied it three times; a training step took 5 % longer in float32, 10 % in bfloat16."""
    network = make()
    nodes, seen = [network(*inputs(network)).grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [parent for parent, _ in node.next_functions]
    names = {type(node).__name__ for node in seen}
    assert "LeakyReluBackward1" in names  # in place
    assert "CopySlices" not in names


def test_float64_and_float32_agree(make: Make) -> None:
    """Measured: 3e-5; most of it comes from the rounded angles of the embedding."""
    network = make()
    y, mel, level = inputs(network)
    exact = network(y, mel, level)
    assert exact.dtype == torch.float64
    rounded = network.float()(y.float(), mel.float(), level.float())
    torch.testing.assert_close(rounded.double(), exact, rtol=0, atol=1e-3)


def test_the_mel_is_normalised_by_mean_and_deviation(make: Make) -> None:
    plain, normalising = make(), make(mel_mean=-4.0, mel_std=2.5)
    y, mel, level = inputs(plain)
    torch.testing.assert_close(normalising(y, 2.5 * mel - 4, level), plain(y, mel, level), rtol=0, atol=1e-12)


def test_a_seed_decides_the_initial_weights() -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return WaveGrad(SHORT).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first if name.endswith("weight"))


def test_what_does_not_belong_together_is_refused_with_both_numbers(make: Make) -> None:
    network = make()
    y, mel, level = inputs(network)
    with pytest.raises(ValueError, match=r"59 samples do not belong to 5 frames of 12 samples \(60 samples\)"):
        network(y[:, 1:], mel, level)
    with pytest.raises(ValueError, match=r"60 samples do not belong to 4 frames of 12 samples \(48 samples\)"):
        network(y, mel[:, :, 1:], level)
    with pytest.raises(ValueError, match=r"the mel has 5 bands, the network was made for 6"):
        network(y, mel[:, 1:], level)


@pytest.mark.gpu
def test_the_gpu_computes_the_same(make: Make) -> None:
    network = make()
    arguments = inputs(network)
    expected = network(*arguments)
    on_gpu = network.cuda()(*(a.cuda() for a in arguments))
    torch.testing.assert_close(on_gpu.cpu(), expected, rtol=0, atol=1e-10)
