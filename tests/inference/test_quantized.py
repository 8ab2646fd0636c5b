"""Products of 8-bit integers against the same numbers in float64, and against the ear."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.inference.conftest import random_network
from tests.inference.test_rewrites import drawn
from tests.inference.test_vocoder_engine import HOP, distance, mels
from tests.test_vocoder import MEL, tiny_network
from wavegrad.audio.io import read_audio
from wavegrad.audio.prior import PriorConfig
from wavegrad.errors import ConfigError
from wavegrad.evaluation.pesq_wb import pesq_wb
from wavegrad.inference import Engine
from wavegrad.inference.ends import Ends
from wavegrad.inference.layers import convolution_of, linear_of
from wavegrad.inference.quantized import Codes, QuantizedConvolution, QuantizedLinear, Weights, check_int8, has_int8
from wavegrad.inference.upsampled_conv import UpsampledConvolution
from wavegrad.network import network_preset
from wavegrad.network.conv import Conv
from wavegrad.vocoder import Vocoder

SPEECH = Path(__file__).parents[2] / "samples" / "reference"
LENGTHS = (1, 2, 3, 5, 9, 17, 40)
CASES = [(3, 1, 1), (3, 2, 1), (3, 8, 1), (5, 1, 1), (4, 1, 2), (7, 1, 5)]
vnni = pytest.mark.skipif(not has_int8(), reason="a processor without VNNI or AMX")


def rows(*shape: int, seed: int = 0) -> Tensor:
    """Skewed, as behind a LeakyReLU."""
    return F.leaky_relu(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), 0.2)


def decoded(codes: Codes) -> Tensor:
    return codes.scale * (codes.q.double() - codes.zero)


def decoded_weights(weight: Tensor) -> Tensor:
    found = Weights.of(weight)
    return found.q.double() * found.scales.double()[:, None, None]


@pytest.mark.parametrize(
    "x",
    [rows(1, 50, 7), -rows(1, 5, 3).abs(), 2 + rows(1, 5, 3).abs(), 1e-30 * rows(1, 4, 2), rows(1, 9, 12)[:, :, ::2]],
)
def test_codes_are_off_by_half_a_step_at_most(x: Tensor) -> None:
    codes = Codes.of(x)
    assert codes.scale == pytest.approx((max(x.max().item(), 0) - min(x.min().item(), 0)) / 255)
    assert (decoded(codes) - x).abs().max() <= 0.5001 * codes.scale


def test_zero_has_a_code_of_its_own() -> None:
    """Silence beyond the end of an item must stay silence."""
    for x in (rows(1, 20, 3), -rows(1, 20, 3).abs(), torch.zeros(1, 3, 2)):
        x[:, 5:] = 0
        assert not decoded(Codes.of(x))[:, 5:].any()


def test_weights_are_off_by_half_a_step_of_their_channel() -> None:
    weight = rows(6, 4, 3) * torch.logspace(-3, 3, 6)[:, None, None]
    error = (decoded_weights(weight) - weight).abs().amax((1, 2))
    assert (error <= 0.5001 * weight.abs().amax((1, 2)) / 127).all()
    assert Weights.of(torch.zeros(2, 3, 1)).q.eq(0).all()


@vnni
@pytest.mark.parametrize(("kernel", "dilation", "stride"), CASES)
@pytest.mark.parametrize("n_time", LENGTHS)
def test_convolution_of_codes(n_time: int, kernel: int, dilation: int, stride: int) -> None:
    """What is left is the rounding of float32: the integers are exact, at the ends too."""
    conv = drawn(Conv(16, 24, kernel, dilation, stride, 1 if stride > 1 else None), torch.float32)
    x = rows(2, stride * n_time, 16)
    bias = torch.arange(24.0)
    for given in (None, bias):
        expected = F.conv1d(
            torch.cat([decoded(Codes.of(item)) for item in x.split(1)]).mT,
            decoded_weights(conv.weight),
            (conv.bias if given is None else given).double(),
            stride,
            int(conv.padding[0]),
            dilation,
        )
        layer = QuantizedConvolution.prepare(conv)
        found = layer(x, given)
        assert found.is_contiguous()
        torch.testing.assert_close(found.mT.double(), expected, rtol=0, atol=2e-5 * expected.abs().max().item())
        if given is None:
            h = rows(*found.shape, seed=1)
            before, alone = h.clone(), layer.activated(x, 0.2, Ends())
            assert layer.add_to_(h, x, Ends()) is h
            torch.testing.assert_close(h, before + found, rtol=1e-5, atol=1e-5)
            assert torch.equal(alone, F.leaky_relu(found, 0.2))


@vnni
@pytest.mark.parametrize("n_time", LENGTHS)
def test_products_of_codes(n_time: int) -> None:
    weight, bias, x = rows(24, 16, seed=1), torch.arange(24.0), rows(2, n_time, 16)
    expected = (
        torch.cat([decoded(Codes.of(item)) for item in x.split(1)]) @ decoded_weights(weight[:, :, None])[..., 0].T
    )
    found = QuantizedLinear.prepare(weight, bias)(x)
    torch.testing.assert_close(found.double(), expected + bias, rtol=0, atol=2e-5 * expected.abs().max().item())


@vnni
def test_an_item_does_not_depend_on_its_batch() -> None:
    conv = drawn(Conv(16, 16, 3, 2), torch.float32)
    layer, x = QuantizedConvolution.prepare(conv), rows(2, 30, 16)
    x[1] *= 100
    assert torch.equal(layer(x)[:1], layer(x[:1]))


@vnni
def test_what_is_not_finite_does_not_hide() -> None:
    x = rows(1, 9, 16)
    for bad in (torch.nan, torch.inf):
        x[0, 4, 3] = bad
        assert QuantizedConvolution.prepare(drawn(Conv(16, 16, 3), torch.float32))(x).isnan().all()


@vnni
def test_narrow_layers_stay_in_floats() -> None:
    for n_in, n_out, wide in ((16, 16, True), (15, 64, False), (64, 1, False)):
        conv = drawn(Conv(n_in, n_out, 3), torch.float32)
        assert isinstance(convolution_of(conv, torch.int8), QuantizedConvolution) == wide
        assert isinstance(linear_of(conv.weight[:, :, 0], conv.bias, torch.int8), QuantizedLinear) == wide
        upsampled = UpsampledConvolution.prepare(conv, 2, "nearest", torch.int8)
        assert isinstance(upsampled.taps, QuantizedLinear) == wide


@vnni
@pytest.mark.parametrize("name", ["small", "base"])
def test_a_network_in_integers_is_near_the_network(name: str) -> None:
    network = random_network(network_preset(name))
    mel, y = mels(3)[0][None], torch.randn(1, 3 * HOP, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        exact, coded = (
            Engine.prepare(network, precision).bind(mel)(y, torch.tensor([0.5])) for precision in ("float32", "int8")
        )
    assert 1e-4 < distance(coded, exact) < 0.1


@vnni
def test_a_batch_of_different_lengths_is_each_alone() -> None:
    """Codes of a short item know nothing of what lies beyond its end: it is as near to float32 as alone. Not nearer to
    itself alone: one rounding tips codes over, and these others."""
    vocoder = Vocoder(MEL, random_network(network_preset("small")), PriorConfig("spectral"))
    items = mels(5, 2)
    together = vocoder.batch(items, 2, 3, precision="int8")
    for i, (mel, audio) in enumerate(zip(items, together, strict=True)):
        exact, alone = vocoder(mel, 2, 3 + i), vocoder(mel, 2, 3 + i, precision="int8")
        assert 1e-3 < distance(audio, exact) < 1.2 * distance(alone, exact)


@vnni
def test_int8_sounds_like_float32() -> None:
    """As `test_bfloat16_sounds_like_float32`: the shipped network alone, a second of speech, all steps in integers.

    4.18 with these weights; the twelve seconds that were tried of all voices had 4.18 to 4.62.
    """
    vocoder = Vocoder.from_pretrained()
    speech = read_audio(SPEECH / "nathalie.flac", vocoder.sample_rate)[0][24000:48000]
    exact, coded = (
        vocoder.resynthesize(speech, 6, 1, griffin_lim=0, precision=precision) for precision in ("float32", "int8")
    )
    assert 1e-3 < distance(coded, exact) < 0.2
    assert pesq_wb(exact, coded, vocoder.sample_rate) >= 4.0


def test_where_there_is_no_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="for CPUs, not for 'cuda'"):
        check_int8(torch.device("cuda"))
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_vnni": False})
    with pytest.raises(ConfigError, match="VNNI or AMX, which this one has not; use 'float32'"):
        check_int8(torch.device("cpu"))
    with pytest.raises(ConfigError, match="VNNI"):
        Vocoder(MEL, tiny_network())(mels(2)[0], 2, precision="int8")


def test_what_has_no_int8() -> None:
    vocoder = Vocoder(MEL, tiny_network())
    (mel,) = mels(2)
    for call in (
        lambda: vocoder(mel, 2, precision="int8", engine="reference"),
        lambda: next(vocoder.stream([mel], 2, precision="int8")),
    ):
        with pytest.raises(ConfigError, match=r"'int8' is for the fast engine.*use 'float32'"):
            call()
