"""What the network is computed to see is what its gradients reach, in float64, sample by sample."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.network.conftest import Make
from wavegrad.network import WaveGrad, network_preset
from wavegrad.network.receptive_field import Reach, ReceptiveField, Span, inputs_of_sample, receptive_field


def reached(gradient: torch.Tensor) -> list[Span]:
    """For each row: from the first to the last position that is not zero."""
    spans = []
    for row in gradient:
        positions = row.nonzero().flatten()
        spans.append(Span(int(positions[0]), int(positions[-1])))
    return spans


def measure(network: WaveGrad, samples: list[int], n_frames: int) -> list[tuple[Span, Span]]:
    """Waveform samples and mel frames that have an influence on each of the output `samples`."""
    torch.manual_seed(0)
    config = network.config
    y = torch.randn(1, n_frames * config.hop_length, dtype=torch.float64, requires_grad=True)
    mel = torch.randn(1, config.n_mels, n_frames, dtype=torch.float64, requires_grad=True)
    output = network(y, mel, torch.tensor([0.5], dtype=torch.float64))[0, samples]
    rows = torch.eye(len(samples), dtype=torch.float64)
    to_y, to_mel = torch.autograd.grad(output, (y, mel), rows, is_grads_batched=True)
    return list(zip(reached(to_y[:, 0]), reached(to_mel[:, 0].abs().sum(1)), strict=True))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"downsampling": "nearest"},
        {"downsampling": "linear", "upsampling": "linear"},
        {"blocks_per_level": 2},
        {"blocks_per_level": 3, "downsampling": "nearest", "upsampling": "linear"},
        {"dblock_dilations": (3, 1, 2), "downsampling": "linear"},
        {"ublock_dilations": ((8, 1, 1, 3), (1, 1, 5, 1), (2, 1, 1, 1))},
        {"factors": (2, 5, 3)},
        {"factors": (3, 1, 4), "downsampling": "nearest", "upsampling": "linear"},
    ],
)
def test_every_sample_of_a_frame_sees_what_is_computed(fields: dict[str, Any], make: Make) -> None:
    network = make(**fields)
    hop = network.config.hop_length
    computed = receptive_field(network.config)
    margin = 2 + max(computed.waveform.left, computed.waveform.right) // hop
    middle = margin * hop
    samples = list(range(middle, middle + hop))
    measured = measure(network, samples, 2 * margin + 1)
    assert measured == [inputs_of_sample(network.config, t) for t in samples]
    lefts, rights = zip(*((t - y.first, y.last - t) for t, (y, _) in zip(samples, measured, strict=True)), strict=True)
    assert computed.waveform == Reach(max(lefts), max(rights))
    frames = [mel for _, mel in measured]
    assert computed.mel == Reach(margin - min(f.first for f in frames), max(f.last for f in frames) - margin)


def test_base_is_measured_at_its_widest() -> None:
    """The dilations, factors and kernels of Base, in the narrow `tiny`: 1767 samples and 5 frames either way."""
    torch.manual_seed(0)
    network = WaveGrad(network_preset("tiny", 4)).double()
    assert receptive_field(network.config) == ReceptiveField(Reach(1767, 1767), Reach(5, 5))
    computed = {t: inputs_of_sample(network.config, t) for t in range(2100, 2400)}  # the eighth frame of fifteen
    farthest_left = max(computed, key=lambda t: t - computed[t][0].first)
    farthest_right = max(computed, key=lambda t: computed[t][0].last - t)
    samples = [2100, farthest_left, farthest_right, 2399]
    assert measure(network, samples, 15) == [computed[t] for t in samples]


def test_base_as_the_public_implementations_have_it() -> None:
    """They interpolate, and reverse the dilations: a third of the reach is lost."""
    base = network_preset("base")
    nearest = replace(base, downsampling="nearest")
    assert receptive_field(nearest).waveform == Reach(1826, 1767)
    reversed_dilations = replace(nearest, ublock_dilations=base.ublock_dilations[::-1])
    assert receptive_field(reversed_dilations).waveform == Reach(1205, 1146)
