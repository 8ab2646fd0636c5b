"""A script: Triton's interpreter runs the kernels on a CPU, beside PyTorch. Set TRITON_INTERPRET before it starts."""

import itertools
from dataclasses import replace

import torch

from tests.inference.conftest import random_network
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import modulated
from wavegrad.inference.fused_film import FusedModulation, check_modulation
from wavegrad.inference.fused_rows import FusedRows, check_rows
from wavegrad.inference.kernels import FusedKernels, seen_to_work
from wavegrad.inference.layers import Convolution
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.inference.upsampled_conv import sum_phases
from wavegrad.network import network_preset
from wavegrad.network.conv import Conv

SHAPES = ((1, 1, 1), (2, 31, 127), (1, 33, 129), (3, 32, 128), (2, 70, 260))
"""Around the borders of blocks of 32 positions and 128 channels."""


def compare_shapes() -> None:
    """float32: 1e-6; else one rounding, where PyTorch rounds up to three times. Both signs, both kinds of ends, and
    tensors that are parts of larger ones."""
    fused, generator = FusedModulation.load(), torch.Generator().manual_seed(0)
    for i, masked in itertools.product(range(len(SHAPES)), (True, False)):
        (n_batch, n_time, n_channels), strided = SHAPES[i], masked == (i % 2 == 0)
        wide = torch.randn(n_batch, n_time + 2, 4 * n_channels, generator=generator)
        x, film = wide[:, 2:, ::4], wide[:, :-2, 1::2]
        if not strided:
            x, film = x.contiguous(), film.contiguous()
        lengths = torch.arange(n_batch)[:, None, None] * 7 % n_time + 1
        ends = Ends((torch.arange(n_time)[:, None] < lengths).float()) if masked else Ends()
        expected = modulated(x, film, 0.2, ends)
        found = fused(x, film, 0.2, ends)
        assert found.shape == x.shape
        assert found.is_contiguous()
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        check_modulation(fused, torch.device("cpu"), dtype)


def compare_roundings() -> None:
    """The result is that of float32, rounded once: to the nearest in float16; the interpreter truncates bfloat16."""
    generator = torch.Generator().manual_seed(1)
    x, film = (torch.randn(1, 40, n, generator=generator).bfloat16() for n in (96, 192))
    exact = modulated(x.float(), film.float(), 0.2, Ends())
    assert torch.equal(FusedModulation.load()(x.half(), film.half(), 0.2, Ends()), exact.half())
    truncated = (exact.view(torch.int32) & -(2**16)).view(torch.float32)
    assert torch.equal(FusedModulation.load()(x, film, 0.2, Ends()).float(), truncated)


def compare_rows() -> None:
    """Every way the kernels are called: float32 to 1e-6, around the borders of blocks and for all factors and dilations
    of networks."""
    rows, generator = FusedRows.load(), torch.Generator().manual_seed(3)
    for i, (factor, dilation) in enumerate(itertools.product((2, 3, 5, 7), (1, 2, 8))):
        n_channels = (1, 130)[i % 2]
        taps = torch.randn(2, 9, 3, n_channels, generator=generator)
        torch.testing.assert_close(
            rows.phases(taps, factor, dilation), sum_phases(taps, factor, dilation), rtol=0, atol=1e-6
        )
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        check_rows(rows, torch.device("cpu"), dtype)
        assert seen_to_work(torch.device("cpu"), dtype, FusedKernels.load) == FusedKernels.load(dtype)
    x, h, low = (torch.randn(2, n, c, generator=generator) for n, c in ((21, 4), (21, 6), (7, 6)))
    ends = Ends.at_rate(torch.tensor([7, 3]), 7, 3, torch.float32)
    for dilation in (1, 4):
        conv = Conv(4, 6, 3, dilation)
        fused, plain = rows.fusion.convolution(conv, torch.float32), Convolution.prepare(conv, torch.float32)
        for found, expected in (
            (fused(x), plain(x)),
            (fused.activated(x, 0.2, ends), plain.activated(x, 0.2, ends)),
            (fused.add_to_(h.clone(), x, ends), plain.add_to_(h.clone(), x, ends)),
            (fused.with_repeated(x, low), plain.with_repeated(x, low)),
        ):
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def compare_networks() -> None:
    """A whole step of the smallest network, items of two lengths."""
    network = random_network(replace(network_preset("tiny"), mel_mean=-5.0))
    generator = torch.Generator().manual_seed(2)
    mel = torch.randn(2, network.config.n_mels, 2, generator=generator) - 5
    y = torch.randn(2, 2 * network.config.hop_length, generator=generator)
    results = []
    for modulate, fusion in ((FusedModulation.load(), FusedRows.load().fusion), (modulated, None)):
        prepared = PreparedNetwork.prepare(network, torch.float32, modulate, fusion)
        condition = prepared.condition(mel, prepared.ends([2, 1], 2))
        with torch.inference_mode():
            results.append(prepared.step(y, condition, prepared.levels(torch.tensor([0.7]))))
    assert (results[0] - results[1]).norm() < 1e-5 * results[1].norm()


if __name__ == "__main__":
    compare_shapes()
    compare_roundings()
    compare_rows()
    compare_networks()
    print("the same")
