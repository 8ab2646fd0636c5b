"""Counted operations against PyTorch's own counter of what is run."""

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from tests.network.conftest import SHORT
from wavegrad.inference.operations import count_operations
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.network import NETWORKS, WaveGrad, WaveGradConfig, network_preset

LAYOUTS = {
    **NETWORKS,
    "short": SHORT,
    "factor 1": replace(SHORT, factors=(4, 3, 1)),
    "nearest": replace(SHORT, downsampling="nearest"),
    "learned variance": replace(SHORT, learned_variance=True),
    "two blocks, linear": replace(SHORT, downsampling="linear", upsampling="linear", blocks_per_level=2),
}


def run(config: WaveGradConfig, n_frames: int) -> tuple[float, float, float]:
    """Multiply-accumulates that PyTorch counts: the network, a step of the engine, what it does once."""
    network = WaveGrad(config).requires_grad_(False)
    y, mel = torch.zeros(1, n_frames * config.hop_length), torch.zeros(1, config.n_mels, n_frames)
    level = torch.ones(1)
    prepared = PreparedNetwork.prepare(network, torch.float32)
    levels = prepared.levels(level)
    counts = []
    for call in (
        lambda: network(y, mel, level),
        lambda: prepared.step(y, prepared.condition(mel), levels),
        lambda: prepared.condition(mel),
    ):
        with FlopCounterMode(display=False) as counter:
            call()
        counts.append(counter.get_total_flops() / 2)
    whole, both, once = counts
    return whole, both - once, once


@pytest.mark.parametrize("config", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_what_is_counted_is_what_is_run(config: WaveGradConfig) -> None:
    counted = count_operations(config, config.hop_length)  # one frame a second
    with FakeTensorMode():  # shapes only: nothing is computed, and PyTorch counts all the same
        network, engine, once = run(config, 1)
    assert (counted.network, counted.engine, counted.once) == (network, engine, once)
    assert sum(a for a, _ in counted.parts.values()) == pytest.approx(network)
    assert sum(b for _, b in counted.parts.values()) == pytest.approx(engine)


def test_base_at_24_khz() -> None:
    """The figures that the documentation states, in 10^9 for each second of audio and step."""
    counted = count_operations(network_preset("base"), 24000)
    billions = [round(n / 1e9, 1) for n in (counted.paper, counted.network, counted.engine)]
    assert billions == [35.1, 33.7, 29.1]
    assert counted.total(6) == counted.once + 6 * counted.engine
