"""Convolutions with what follows them in one pass: the results of the two passes."""

import pytest
import torch
import torch.nn.functional as F

from tests.inference.test_rewrites import LENGTHS, assert_same, drawn, randn
from tests.network.conftest import SHORT
from wavegrad.inference.blocks import PreparedDBlock, PreparedUBlock
from wavegrad.inference.ends import Ends
from wavegrad.inference.engine import Engine, EngineOptions
from wavegrad.inference.film import PreparedFiLM
from wavegrad.inference.layers import Convolution, convolution_of
from wavegrad.inference.onednn import (
    PRECISIONS,
    OneDnnConvolution,
    OneDnnLinear,
    is_for_onednn,
    onednn_convolution,
    onednn_linear,
)
from wavegrad.inference.rows import Fusion
from wavegrad.network import WaveGrad
from wavegrad.network.conv import Conv
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock

GEOMETRIES = [(3, 1, 1), (3, 8, 1), (5, 1, 1), (4, 1, 2), (7, 1, 5)]
"""Kernel, dilation, stride."""
FUSION = Fusion(onednn_convolution, pointwise=onednn_linear)
onednn = pytest.mark.skipif(not is_for_onednn(torch.zeros(1), torch.float32), reason="no oneDNN for this processor")


def conv_of(kernel: int, dilation: int, stride: int, n_in: int = 3, n_out: int = 4) -> Conv:
    return drawn(Conv(n_in, n_out, kernel, dilation, stride, 1 if stride > 1 else None), torch.float32)


@onednn
@pytest.mark.parametrize(("kernel", "dilation", "stride"), GEOMETRIES)
@pytest.mark.parametrize("n_time", LENGTHS)
def test_a_convolution_and_what_follows(kernel, dilation, stride, n_time):
    """Against the layer of the network; also with a bias of the caller's, and for several items."""
    conv = conv_of(kernel, dilation, stride)
    layer = OneDnnConvolution.prepare(conv, torch.float32)
    x = randn(2, 3, stride * n_time, dtype=torch.float32)
    rows, expected = x.mT.contiguous(), conv(x)
    assert_same(layer(rows), expected)
    assert_same(layer(rows, bias=conv.bias + 2), expected + 2)
    assert_same(layer.activated(rows, 0.3, Ends()), F.leaky_relu(expected, 0.3))
    h = randn(2, 4, expected.shape[2], dtype=torch.float32).mT.contiguous()
    before = h.clone()
    assert layer.add_to_(h, rows, Ends()) is h
    assert_same(h, before.mT + expected)
    assert torch.equal(rows.mT, x), "the input is left as it is"


@onednn
@pytest.mark.parametrize("n_time", range(1, 13))
def test_bfloat16(n_time):
    """2 % of a prediction in float32, at every short length (oneDNN has been wrong at single ones)."""
    conv = conv_of(3, 2, 1, 128, 64)
    layer = OneDnnConvolution.prepare(conv, torch.bfloat16)
    x, h = randn(1, 128, n_time, dtype=torch.float32), randn(1, 64, n_time, dtype=torch.float32)
    rows, expected = x.mT.contiguous().bfloat16(), conv(x)
    found = layer(rows), layer.activated(rows, 0.2, Ends()), layer.add_to_(h.mT.contiguous().bfloat16(), rows, Ends())
    for y, exact in zip(found, (expected, F.leaky_relu(expected, 0.2), h + expected), strict=True):
        assert y.dtype == torch.bfloat16
        assert (y.float().mT - exact).norm() / exact.norm() < 0.02


@onednn
@pytest.mark.parametrize("n_time", [*range(1, 13), 4097])
@pytest.mark.parametrize(("n_in", "n_out"), [(3, 4), (16, 48), (128, 384)])
def test_a_matrix_product(n_time: int, n_in: int, n_out: int) -> None:
    """In float32 and bfloat16, for several items, at every short length and at one that is longer than the typical."""
    weight, bias = randn(n_out, n_in, dtype=torch.float32), randn(n_out, dtype=torch.float32)
    x = randn(2, n_time, n_in, dtype=torch.float32)
    expected = x @ weight.T + bias
    layers = [OneDnnLinear.prepare(weight, bias, dtype) for dtype in PRECISIONS]
    single, half = (layer(x.to(dtype)) for layer, dtype in zip(layers, PRECISIONS, strict=True))
    torch.testing.assert_close(single, expected, rtol=1e-5, atol=1e-5)
    assert half.dtype == torch.bfloat16
    assert (half - expected).norm() / expected.norm() < 0.02
    weight.zero_(), bias.zero_()
    assert torch.equal(layers[0](x), single), "the weights are copied"


@onednn
@pytest.mark.parametrize("factor", [1, 2, 3])
def test_blocks(factor):
    """DBlock, UBlock and FiLM with such layers, against the network's."""
    dblock = drawn(DBlock(4, 6, factor, (1, 2, 4), "strided", 0.2), torch.float32)
    ublock = drawn(UBlock(4, 6, factor, (1, 2, 4, 8), "nearest", 0.2), torch.float32)
    film = drawn(FiLM(4, 6, 6, 5000.0, 0.2), torch.float32)
    down, up, prepared = (
        PreparedDBlock.prepare(dblock, torch.float32, FUSION),
        PreparedUBlock.prepare(ublock, torch.float32, fusion=FUSION),
        PreparedFiLM.prepare(film, torch.float32, FUSION),
    )
    for layer in (*down.convs, *up.convs, prepared.input, prepared.output):
        assert isinstance(layer, OneDnnConvolution)
    for layer in (down.residual, up.residual):
        assert isinstance(layer, OneDnnLinear)
    for n_time in LENGTHS:
        x = randn(2, 4, n_time * factor, dtype=torch.float32)
        assert_same(down(x.mT.contiguous(), Ends()), dblock(x))
        level = torch.tensor([0.7])
        expected = film(x, level.expand(2))
        found = prepared(x.mT.contiguous(), prepared.at(level), Ends())
        assert_same(found, expected)
        low = randn(2, 4, n_time, dtype=torch.float32)
        started = up.start(low.mT.contiguous(), Ends(), Ends())
        assert_same(up.finish(started, found, Ends()), ublock(low, expected))
        assert_same(up.finish(started, found, Ends()), ublock(low, expected))  # a second time: nothing was written into


def test_weights_are_copied_and_other_precisions_are_left_to_pytorch():
    conv = conv_of(3, 1, 1)
    rows = randn(1, 9, 3, dtype=torch.float32)
    layer = convolution_of(conv, torch.float32, FUSION)
    before = layer(rows)
    for parameter in conv.parameters():
        parameter.zero_()
    assert torch.equal(layer(rows), before)
    for dtype in (torch.float64, torch.float16):
        assert isinstance(convolution_of(conv, dtype, FUSION), Convolution)
    assert isinstance(convolution_of(conv, torch.float32), Convolution)


@onednn
def test_the_option_of_the_engine_decides():
    network = WaveGrad(SHORT)
    outputs = [
        Engine.prepare(network, "float32", EngineOptions(fused=fused)).network.films[0].output
        for fused in (True, False)
    ]
    assert [type(output) for output in outputs] == [OneDnnConvolution, Convolution]
