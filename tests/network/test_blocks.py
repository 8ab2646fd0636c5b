"""Convolutions, resampling and blocks: closed forms and identities."""

import pytest
import torch
from torch import Tensor, nn

from tests.network.conftest import Make
from wavegrad.network.conv import Conv, channels_last, downsample, upsample
from wavegrad.network.dblock import DBlock, mean_of
from wavegrad.network.ublock import UBlock


def randn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def ramp(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float64).reshape(1, 1, n)


@pytest.mark.parametrize(("kernel", "dilation", "stride", "padding"), [(3, 1, 1, None), (3, 8, 1, None), (7, 1, 5, 1)])
def test_a_convolution_is_torchs(kernel: int, dilation: int, stride: int, padding: int | None) -> None:
    conv = Conv(4, 6, kernel, dilation, stride, padding).double()
    x = randn(2, 4, 40)
    expected = nn.functional.conv1d(x, conv.weight, conv.bias, stride, conv.padding, dilation)
    torch.testing.assert_close(conv(x), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(conv(channels_last(x)), expected, rtol=0, atol=1e-12)
    assert expected.shape[2] == 40 // stride


@pytest.mark.parametrize("factor", [1, 2, 3, 5, 7, 49])
def test_resampling_has_the_length_asked_for(factor: int) -> None:
    """49 * (1 / 49) is less than 1 in floating point: lengths are counted in whole numbers."""
    for frames in (1, 2, 10, 49):
        for mode in ("nearest", "linear"):
            up = upsample(randn(1, 2, frames), factor, mode)
            assert up.shape == (1, 2, frames * factor)
            assert downsample(up, factor, mode).shape == (1, 2, frames)


def test_nearest_repeats_and_picks() -> None:
    assert upsample(ramp(3), 2, "nearest").flatten().tolist() == [0, 0, 1, 1, 2, 2]
    assert downsample(ramp(6), 3, "nearest").flatten().tolist() == [0, 3]


def test_linear_follows_the_line_between_the_centres() -> None:
    """Sample i of the fine grid stands at (i + 1/2) / factor - 1/2 of the coarse one; flat beyond the ends."""
    assert upsample(ramp(3), 2, "linear").flatten().tolist() == [0, 0.25, 0.75, 1.25, 1.75, 2]
    assert downsample(ramp(6), 2, "linear").flatten().tolist() == [0.5, 2.5, 4.5]
    assert downsample(ramp(6), 3, "linear").flatten().tolist() == [1, 4]


def test_means_of_neighbours() -> None:
    assert mean_of(ramp(6), 3).flatten().tolist() == [1, 4]
    assert mean_of(ramp(6), 1) is not None
    assert torch.equal(mean_of(ramp(6), 1), ramp(6))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsampling_commutes_with_the_residual_convolution(mode: str) -> None:
    conv = Conv(4, 6, 1).double()
    x = randn(2, 4, 10)
    torch.testing.assert_close(upsample(conv(x), 5, mode), conv(upsample(x, 5, mode)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("factor", [1, 2, 3, 5])
def test_a_strided_dblock_commutes_with_shifts_by_its_factor(factor: int) -> None:
    """Away from the ends: a shift of the input by `factor` samples shifts the output by one."""
    dblock = DBlock(4, 6, factor, (1, 2, 4), "strided", 0.2).double()
    x = randn(1, 4, 40 * factor)
    whole, shifted = dblock(x), dblock(x[:, :, factor:])
    torch.testing.assert_close(whole[:, :, 10:-10], shifted[:, :, 9:-10], rtol=0, atol=1e-12)


def test_a_strided_dblock_reads_every_sample_and_an_interpolating_one_does_not() -> None:
    def samples_read(mode: str) -> int:
        x = randn(1, 4, 30).requires_grad_()
        DBlock(4, 6, 3, (1, 2, 4), mode, 0.2).double()(x).square().sum().backward()
        assert x.grad is not None
        return int((x.grad != 0).all(dim=1).sum())

    assert samples_read("strided") == 30
    assert samples_read("nearest") == 10


def test_blocks_start_orthogonal(make: Make) -> None:
    """The paper: orthogonal initialisation of all UBlocks and DBlocks. As a matrix outputs x (inputs * kernel)."""
    network = make(blocks_per_level=2)
    convs = [m for block in (network.ublocks, network.dblocks) for m in block.modules() if isinstance(m, Conv)]
    assert len(convs) == 3 * 2 * 5 + 2 * 2 * 4
    for conv in convs:
        matrix = conv.weight.flatten(1)
        small = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
        torch.testing.assert_close(small, torch.eye(len(small), dtype=torch.float64), rtol=0, atol=1e-6)


def test_biases_start_at_zero() -> None:
    for block in (UBlock(4, 6, 2, (1, 2, 1, 2), "nearest", 0.2), DBlock(4, 6, 2, (1, 2, 4), "strided", 0.2)):
        assert all((p == 0).all() for name, p in block.named_parameters() if name.endswith("bias"))
