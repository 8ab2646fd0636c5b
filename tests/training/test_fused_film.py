"""FiLM and LeakyReLU as one operation: the results and gradients of the two, and less that is kept."""

import copy

import pytest
import torch
import torch.nn.functional as F

from tests.training.conftest import change
from wavegrad.network import WaveGrad, WaveGradConfig
from wavegrad.training.benchmark import kept_bytes
from wavegrad.training.fused_film import modulated, run_fused
from wavegrad.training.trainer import Trainer

SMALL = {
    "n_mels": 5,
    "mel_channels": 6,
    "waveform_channels": 4,
    "ublock_channels": (6, 4),
    "dblock_channels": (4,),
    "factors": (3, 2),
    "ublock_dilations": ((1, 2, 4, 8),) * 2,
}


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("slope", [0.2, 0.01])
@pytest.mark.parametrize("channels_last", [True, False])
def test_the_gradients_are_those_of_differences(slope, channels_last):
    """torch.autograd.gradcheck, in either layout of memory."""
    x, film = randn(2, 3, 5), randn(2, 6, 5, seed=1)
    if channels_last:
        x, film = (t.mT.contiguous().mT for t in (x, film))
    assert torch.autograd.gradcheck(
        lambda x, film: modulated(x, film, slope), (x.requires_grad_(), film.requires_grad_())
    )


def test_it_is_leaky_relu_of_scale_and_shift():
    x, film = randn(2, 3, 50), randn(2, 6, 50, seed=1)
    expected = F.leaky_relu(film[:, :3] * x + film[:, 3:], 0.2)
    torch.testing.assert_close(modulated(x, film, 0.2), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("upsampling", ["nearest", "linear"])
@pytest.mark.parametrize("downsampling", ["strided", "nearest", "linear"])
@pytest.mark.parametrize("blocks_per_level", [1, 2])
def test_a_network_keeps_its_results_and_gradients(upsampling, downsampling, blocks_per_level):
    """Also those of its inputs; float64."""
    config = WaveGradConfig(
        **SMALL, upsampling=upsampling, downsampling=downsampling, blocks_per_level=blocks_per_level
    )
    plain = WaveGrad(config).double()
    fused = copy.deepcopy(plain)
    run_fused(fused)
    found = []
    for network in (plain, fused):
        y, mel = randn(2, 10 * 6).requires_grad_(), randn(2, 5, 10, seed=1).requires_grad_()
        predicted = network(y, mel, torch.tensor([0.9, 0.3], dtype=torch.float64))
        predicted.abs().sum().backward()
        found.append([predicted, y.grad, mel.grad, *(p.grad for p in network.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-12)
    assert plain.state_dict().keys() == fused.state_dict().keys()


@pytest.mark.parametrize("fused", [True, False])
def test_the_key_of_the_recipe_decides_and_the_averaged_network_stays_plain(recipe, clips, fused):
    trainer = Trainer(change(recipe, "run", fused_film=fused), clips)
    changed = ["modulated" in vars(block) for level in trainer.network.ublocks for block in level]
    assert changed == [fused] * len(changed)
    assert not any("modulated" in vars(module) for module in trainer.vocoder().network.modules())


def test_a_step_keeps_a_fifth_less(recipe, clips):
    """Of activations; the sums in front of the LeakyReLUs."""
    recipe = change(recipe, "data", batch_size=4, crop_frames=24)
    kept = {on: kept_bytes(Trainer(change(recipe, "run", fused_film=on), clips)) for on in (True, False)}
    assert 0.6 < kept[True] / kept[False] < 0.85
