"""What follows a convolution in one kernel: the same as PyTorch's passes, or seen not to be.

The kernels themselves are compared with PyTorch's in `interpreted_film.py`, and compiled in `compiled_film.py`.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.inference.conftest import Make, inputs
from tests.inference.test_fused_film import FLOATS, needs_triton
from wavegrad.inference import Engine, EngineOptions
from wavegrad.inference.ends import Ends
from wavegrad.inference.fused_rows import FusedConvolution, FusedRows, check_rows
from wavegrad.inference.layers import Convolution
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.inference.upsampled_conv import sum_phases

CPU = torch.device("cpu")


class ByHand(FusedRows):
    """The kernels' contract in PyTorch, but for what is planted."""

    plant: Callable[..., tuple[object, ...]] = staticmethod(lambda *arguments: arguments)

    def finish_(self, y: Tensor, bias: Tensor, slope: float, ends: Ends, added: Tensor | None = None) -> Tensor:
        y, bias, slope, ends, added = self.plant(y, bias, slope, ends, added)
        value = F.leaky_relu(y.float() + bias.float(), slope)
        if added is not None:
            value += added.float().repeat_interleave(y.shape[1] // added.shape[1], 1)
        return ends.clear_(value).to(y.dtype)

    def phases(self, taps: Tensor, factor: int, dilation: int) -> Tensor:
        taps, factor, dilation = self.plant(taps, factor, dilation)
        return sum_phases(taps.float(), factor, dilation).to(taps.dtype)


def made(kind: type[ByHand] = ByHand) -> FusedRows:
    return kind(None, None, (32, 128), 8)


def planted(*change: Callable[..., tuple[object, ...]]) -> type[ByHand]:
    """One for the arguments of `finish_`, one for those of `phases`; None leaves them."""
    of_finish, of_phases = change

    def plant(*arguments: object) -> tuple[object, ...]:
        which = of_finish if len(arguments) == 5 else of_phases
        return arguments if which is None else which(*arguments)

    return type("Planted", (ByHand,), {"plant": staticmethod(plant)})


WRONG = {
    "no bias": planted(lambda y, bias, slope, ends, added: (y, 0 * bias, slope, ends, added), None),
    "straight": planted(lambda y, bias, slope, ends, added: (y, bias, 1.0, ends, added), None),
    "no mask": planted(lambda y, bias, slope, ends, added: (y, bias, slope, Ends(), added), None),
    "nothing added": planted(lambda y, bias, slope, ends, added: (y, bias, slope, ends, None), None),
    "added late": planted(
        lambda y, bias, slope, ends, added: (y, bias, slope, ends, None if added is None else added.roll(1, 1)), None
    ),
    "taps swapped": planted(None, lambda taps, factor, dilation: (taps.flip(2), factor, dilation)),
    "one dilation": planted(None, lambda taps, factor, dilation: (taps, factor, 1)),
}


@pytest.mark.parametrize("dtype", FLOATS)
def test_right_kernels_are_seen_to_be_right(dtype: torch.dtype) -> None:
    check_rows(made(), CPU, dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_wrong_kernels_are_seen_to_be_wrong(wrong: type[ByHand], dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match="it is off by up to"):
        check_rows(made(wrong), CPU, dtype)


@pytest.mark.parametrize("frames", [[9, 9], [3, 9]])
def test_a_network_with_such_kernels_computes_the_same(make: Make, frames: list[int]) -> None:
    network = make().float()
    y, mel, levels = inputs(network, 2, 9)
    found = []
    for fusion in (made().fusion, None):
        prepared = PreparedNetwork.prepare(network, torch.float32, fusion=fusion)
        with torch.inference_mode():
            found.append(Engine(prepared).bind(mel, frames)(y, levels[:1].expand(2)))
    assert isinstance(prepared.ublocks[0][0].convs[0], Convolution)
    assert (found[0] - found[1]).norm() < 1e-5 * found[1].norm()


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize("frames", [[9, 9], [3, 70]])
def test_an_engine_in_half_precision(make: Make, frames: list[int]) -> None:
    """With and without the kernels, beside float32: it is no farther off with them."""
    network = make().float().cuda()
    y, mel, levels = (value.cuda() for value in inputs(network.cpu(), 2, max(frames)))
    network.cuda()
    at = levels[:1].expand(2)
    with torch.inference_mode():
        exact = Engine.prepare(network).bind(mel, frames)(y, at)
        engines = [Engine.prepare(network, "bfloat16", EngineOptions(8, fused)) for fused in (True, False)]
        errors = [(engine.bind(mel, frames)(y, at) - exact).norm() / exact.norm() for engine in engines]
    assert isinstance(engines[0].network.ublocks[0][0].convs[0], FusedConvolution)
    assert errors[0] < 1.2 * errors[1] < 0.1
