"""Each rewrite against the layer it replaces, in float64 and float32, ends included."""

from typing import TypeVar

import pytest
import torch
from torch import Tensor

from wavegrad.inference.blocks import PreparedDBlock, PreparedUBlock
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import PreparedFiLM
from wavegrad.inference.layers import bias_of, convolution_of, linear_of
from wavegrad.inference.upsampled_conv import UpsampledConvolution
from wavegrad.network.conv import Conv, Resampling, upsample
from wavegrad.network.dblock import DBlock, Downsampling
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock

TOLERANCES = {torch.float64: 1e-10, torch.float32: 2e-5}
LENGTHS = (1, 2, 3, 5, 17)
M = TypeVar("M", bound=torch.nn.Module)
both = pytest.mark.parametrize("dtype", TOLERANCES, ids=str)


def randn(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def drawn(module: M, dtype: torch.dtype) -> M:
    """With every bias drawn, too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module.to(dtype).requires_grad_(False)


def assert_same(found: Tensor, expected: Tensor) -> None:
    """Rows against a feature."""
    tolerance = TOLERANCES[expected.dtype] * max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found.mT, expected, rtol=0, atol=tolerance)


@both
@pytest.mark.parametrize("n_time", LENGTHS)
@pytest.mark.parametrize(("kernel", "dilation", "stride"), [(1, 1, 1), (3, 1, 1), (3, 8, 1), (5, 1, 1), (4, 1, 2)])
def test_convolutions(dtype: torch.dtype, n_time: int, kernel: int, dilation: int, stride: int) -> None:
    conv = drawn(Conv(3, 4, kernel, dilation, stride, 1 if stride > 1 else None), dtype)
    x = randn(2, 3, stride * n_time, dtype=dtype)
    pointwise = kernel == 1
    prepared = linear_of(conv.weight[:, :, 0], bias_of(conv), dtype) if pointwise else convolution_of(conv, dtype)
    assert_same(prepared(x.mT.contiguous()), conv(x))


@both
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("factor", [2, 3, 5, 7])
@pytest.mark.parametrize("dilation", [1, 2, 3, 8])
def test_convolution_of_an_upsampled_signal(dtype: torch.dtype, mode: Resampling, factor: int, dilation: int) -> None:
    conv = drawn(Conv(3, 4, 3, dilation), dtype)
    rewritten = UpsampledConvolution.prepare(conv, factor, mode, dtype)
    for n_time in LENGTHS:
        x = randn(2, 3, n_time, dtype=dtype)
        assert_same(rewritten(x.mT.contiguous(), Ends(), Ends()), conv(upsample(x, factor, mode)))


@both
@pytest.mark.parametrize("n_time", LENGTHS)
def test_the_noise_level_as_a_bias(dtype: torch.dtype, n_time: int) -> None:
    film = drawn(FiLM(4, 5, 6, 5000.0, 0.2), dtype)
    prepared = PreparedFiLM.prepare(film, dtype)
    x = randn(2, 4, n_time, dtype=dtype)
    for level in (0.1, 0.7, 0.9999):
        expected = film(x, torch.full((2,), level, dtype=dtype))
        found = prepared(x.mT.contiguous(), prepared.at(torch.tensor([level], dtype=dtype)), Ends())
        assert_same(found, expected)


@both
@pytest.mark.parametrize("mode", ["strided", "nearest", "linear"])
@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_dblocks(dtype: torch.dtype, mode: Downsampling, factor: int) -> None:
    block = drawn(DBlock(4, 6, factor, (1, 2, 4), mode, 0.2), dtype)
    prepared = PreparedDBlock.prepare(block, dtype)
    for n_time in LENGTHS:
        x = randn(2, 4, n_time * factor, dtype=dtype)
        assert_same(prepared(x.mT.contiguous(), Ends()), block(x))


@both
@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_ublocks(dtype: torch.dtype, mode: Resampling, factor: int) -> None:
    block = drawn(UBlock(4, 6, factor, (1, 2, 4, 8), mode, 0.2), dtype)
    prepared = PreparedUBlock.prepare(block, dtype)
    for n_time in LENGTHS:
        x = randn(2, 4, n_time, dtype=dtype)
        film = randn(2, 12, n_time * factor, dtype=dtype)
        started = prepared.start(x.mT.contiguous(), Ends(), Ends())
        assert_same(prepared.finish(started, film.mT.contiguous(), Ends()), block(x, film))


def test_what_started_may_be_finished_again() -> None:
    """The first UBlock starts once for each utterance: finishing must not write into it."""
    block = PreparedUBlock.prepare(drawn(UBlock(4, 6, 3, (1, 2, 4, 8), "nearest", 0.2), torch.float64), torch.float64)
    started = block.start(randn(1, 5, 4, dtype=torch.float64), Ends(), Ends())
    film = randn(1, 15, 12, dtype=torch.float64)
    assert torch.equal(block.finish(started, film, Ends()), block.finish(started, film, Ends()))


def test_weights_are_copied() -> None:
    conv = drawn(Conv(3, 4, 3), torch.float32)
    film = drawn(FiLM(4, 5, 6, 5000.0, 0.2), torch.float32)
    x, h, level = randn(1, 9, 3, dtype=torch.float32), randn(1, 9, 4, dtype=torch.float32), torch.tensor([0.5])
    layer, prepared = convolution_of(conv, torch.float32), PreparedFiLM.prepare(film, torch.float32)
    before = layer(x), prepared(h, prepared.at(level), Ends())
    for parameter in (*conv.parameters(), *film.parameters()):
        parameter.zero_()
    assert torch.equal(layer(x), before[0])
    assert torch.equal(prepared(h, prepared.at(level), Ends()), before[1])


def test_bfloat16_over_five_positions() -> None:
    """Where a 1x1 convolution of oneDNN was 10 dB wrong: every length around it."""
    conv = drawn(Conv(128, 64, 1), torch.float32)
    rounded = linear_of(conv.weight[:, :, 0], bias_of(conv), torch.bfloat16)
    for n_time in range(1, 12):
        x = randn(1, 128, n_time, dtype=torch.float32)
        error = rounded(x.mT.contiguous().bfloat16()).float().mT - conv(x)
        assert error.norm() / conv(x).norm() < 0.02
