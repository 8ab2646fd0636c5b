"""Networks small enough to compute exactly."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from wavegrad.network import WaveGrad, WaveGradConfig

SHORT = WaveGradConfig(
    n_mels=6,
    factors=(3, 2, 2),
    mel_channels=10,
    waveform_channels=4,
    ublock_channels=(10, 8, 6),
    dblock_channels=(6, 8),
    ublock_dilations=((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 1, 2)),
)
"""Twelve samples a frame."""

Make = Callable[..., WaveGrad]


@pytest.fixture
def make() -> Make:
    """make(field=value, ...): SHORT with these fields, in float64, with every bias drawn too."""

    def network(seed: int = 0, **fields: object) -> WaveGrad:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = WaveGrad(replace(SHORT, **fields)).double()
            with torch.no_grad():
                for name, parameter in made.named_parameters():
                    if name.endswith("bias"):
                        parameter.add_(0.3 * torch.randn_like(parameter))
        return made

    return network


def inputs(network: WaveGrad, n_items: int = 2, n_frames: int = 5, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """y, mel and noise level, of the network's precision."""
    generator = torch.Generator().manual_seed(seed)
    config = network.config
    dtype = next(network.parameters()).dtype
    y = torch.randn(n_items, n_frames * config.hop_length, generator=generator, dtype=dtype)
    mel = torch.randn(n_items, config.n_mels, n_frames, generator=generator, dtype=dtype)
    return y, mel, torch.linspace(0.2, 0.9995, n_items, dtype=dtype)
