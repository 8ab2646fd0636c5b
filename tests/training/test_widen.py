"""A wider network that begins as a narrower one."""

from dataclasses import replace

import pytest
import torch

from tests.training.conftest import SPEECH, change
from wavegrad.checkpoint import Model, load_model
from wavegrad.network import WaveGrad, WaveGradConfig, network_preset
from wavegrad.network.noise_embedding import NoiseEmbedding
from wavegrad.training.init_from import init_from
from wavegrad.training.loop import train
from wavegrad.training.widen import embedding_channels, widen_, widens
from wavegrad.vocoder import Vocoder, standard_schedules

TINY, SMALL = network_preset("tiny"), network_preset("small")
WIDTHS = ("mel_channels", "waveform_channels", "ublock_channels", "dblock_channels")


def made(config: WaveGradConfig, seed: int = 3) -> WaveGrad:
    """With weights like those of a trained network: none is at the value it starts with."""
    torch.manual_seed(seed)
    network = WaveGrad(config)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.02 * torch.randn_like(weight))
    return network


@pytest.fixture
def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(4)
    return torch.randn(6, 2400), torch.randn(6, 128, 8), torch.tensor([0.05, 0.3, 0.6, 0.9, 0.99, 0.9999])


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, learned_variance=True),
        replace(TINY, null_condition=True),
        replace(TINY, blocks_per_level=2),
    ],
    ids=["plain", "learned variance", "null condition", "two blocks a level"],
)
def test_it_predicts_the_same_noise(config, inputs):
    narrow = made(config).double()
    wide = WaveGrad(replace(config, **{key: getattr(SMALL, key) for key in WIDTHS})).double()
    assert widens(wide, narrow)
    widen_(wide, narrow)
    y, mel, level = (value.double() for value in inputs)
    with torch.no_grad():
        assert torch.allclose(wide(y, mel, level), narrow(y, mel, level), rtol=1e-9)
        if config.learned_variance:
            pairs = zip(wide.noise_and_variance(y, mel, level), narrow.noise_and_variance(y, mel, level), strict=True)
            assert all(torch.allclose(ours, theirs, rtol=1e-6) for ours, theirs in pairs)
    if config.null_condition:
        assert torch.equal(wide.null_mel, narrow.null_mel)


def test_the_weights_from_new_channels_are_zero_and_have_gradients(inputs):
    """So one step of an optimiser makes use of them; and no two of them are alike."""
    narrow, wide = made(TINY), WaveGrad(SMALL)
    widen_(wide, narrow)
    wide(*inputs).square().mean().backward()
    for name, layer in wide.named_modules():
        if name.endswith("convs.1") and name.startswith("ublocks"):
            new = slice(dict(narrow.named_modules())[name].in_channels, None)
            old = slice(0, new.start)
            assert (layer.weight[old, new] == 0).all()
            assert (layer.weight.grad[old, new].abs().amax(dim=(0, 2)) > 0).all(), name
            assert len(layer.weight[new].flatten(1).unique(dim=0)) == layer.out_channels - new.start


def test_old_channels_are_told_the_level_at_their_own_frequencies():
    """Six sinusoids lie among the twelve of twice the width, and not among those of a width that six does not
    divide."""
    level = torch.linspace(0.1, 1.0, 7)
    narrow, double = NoiseEmbedding(6)(level), NoiseEmbedding(12)(level)
    assert torch.allclose(double[:, embedding_channels(6, 12)], narrow, atol=1e-5)
    assert embedding_channels(6, 16).tolist() == [0, 3, 5, 8, 11, 13]  # 16/6 = 2.67 times the place


def test_what_does_not_widen():
    small = WaveGrad(SMALL)
    for config in (
        SMALL,  # nothing is wider
        TINY,
        replace(network_preset("base"), n_mels=160),  # the same shapes, or larger ones, of another mel
        replace(network_preset("base"), mel_channels=8),
        replace(network_preset("base"), blocks_per_level=2),
        network_preset("base", hop_length=600),  # longer kernels
    ):
        with torch.device("meta"):
            assert not widens(WaveGrad(config), small), config
    with torch.device("meta"):
        assert widens(WaveGrad(network_preset("base")), small)


def test_a_run_starts_wider_than_its_model(recipe, tmp_path):
    """`--init-from` a narrower model: said, exact at the first step, trained from there."""
    network = made(recipe.model.network_config())
    Vocoder(recipe.model.mel_config(), network, recipe.model.prior).save_pretrained(tmp_path / "start")
    wide = change(change(recipe, "model", network="small"), "run", steps=2)
    wide = change(wide, "optimizer", learning_rate=1e-9)
    said: list[str] = []
    train(wide, SPEECH, tmp_path / "run", say=said.append, start=tmp_path / "start")
    assert any("starting from all 47,197 weights of that model, in a wider network of 2,118,417" in s for s in said)
    trained = load_model(tmp_path / "run" / "last").network
    assert trained.config.mel_channels == SMALL.mel_channels
    torch.manual_seed(4)
    inputs = torch.randn(2, 2400), torch.randn(2, 128, 8), torch.tensor([0.3, 0.9])
    with torch.no_grad():
        assert torch.allclose(trained(*inputs), network(*inputs), atol=1e-3)


def test_what_equal_layers_hide_is_said_of_a_wider_network_too(recipe):
    prior = recipe.model.prior
    model = Model(recipe.model.mel_config(), made(TINY), prior, standard_schedules(prior), "6", "")
    said: list[str] = []
    init_from(WaveGrad(replace(SMALL, leaky_slope=0.1)), model, recipe.model, said.append)
    assert any("the network differs" in line and "leaky_slope 0.2 -> 0.1" in line for line in said)
