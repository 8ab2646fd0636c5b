"""Which kernels a network is prepared with: those of Triton where all of them work, and where they do not, why."""

import subprocess
import sys
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import Make
from tests.inference.test_fused_film import CPU, FLOATS, needs_triton, rounded_once, without_mask
from tests.inference.test_fused_rows import WRONG, made
from wavegrad.inference import Engine, KernelWarning
from wavegrad.inference.film import Modulate, modulated
from wavegrad.inference.fused_film import FusedModulation
from wavegrad.inference.kernels import FusedKernels, Kernels, choose_kernels, seen_to_work


def by_hand(modulation: Modulate = rounded_once) -> FusedKernels:
    return FusedKernels(modulation, made())


@pytest.mark.parametrize("dtype", FLOATS)
def test_right_kernels_are_used(dtype: torch.dtype) -> None:
    right = by_hand()
    assert seen_to_work(CPU, dtype, lambda dtype: right) is right


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("wrong", [by_hand(without_mask), FusedKernels(rounded_once, made(WRONG["no bias"]))])
def test_one_wrong_kernel_is_reported_and_none_is_used(wrong: FusedKernels, dtype: torch.dtype) -> None:
    said = "the fused kernels cannot be used, PyTorch's are instead: it is off by up to"
    with pytest.warns(KernelWarning, match=said):
        assert seen_to_work(CPU, dtype, lambda dtype: wrong) is None


def test_a_precision_that_the_kernels_do_not_have() -> None:
    assert seen_to_work(CPU, torch.float64, FusedKernels.load) is None


def test_without_triton_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "wavegrad.inference.triton_kernels", raising=False)
    assert seen_to_work(CPU, torch.float32, FusedKernels.load) is None
    assert choose_kernels(torch.device("cuda"), torch.float32) == Kernels(modulated, None)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Failed to find C compiler.\nmore"), r"instead: Failed to find C compiler\.$"),
        (subprocess.CalledProcessError(1, "gcc"), "instead: Command 'gcc' returned non-zero exit status 1"),
        (PermissionError(13, "Permission denied", "/cache"), "Permission denied"),
        (AttributeError(), "instead: AttributeError$"),
    ],
)
@pytest.mark.parametrize("when", ["loading", "running"])
def test_a_kernel_that_fails_is_reported_and_not_used(error: Exception, said: str, when: str) -> None:
    def fails(*arguments: object) -> Tensor:
        raise error

    load: Callable[..., FusedKernels] = (lambda dtype: by_hand(fails)) if when == "running" else fails
    with pytest.warns(KernelWarning, match=said):
        assert seen_to_work(CPU, torch.float32, load) is None


def test_a_cpu_is_never_asked_for_those_of_triton(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wavegrad.inference.kernels.FusedKernels.load", None)
    engine = Engine.prepare(make().float())
    assert not isinstance(engine.network.ublocks[0][0].modulate, FusedModulation)
    assert engine.graphs is None


@pytest.mark.gpu
@needs_triton
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_kernels_on_the_device(dtype: torch.dtype) -> None:
    """Both have their checks behind them."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels = choose_kernels(torch.device("cuda"), dtype)
    assert isinstance(kernels.modulate, FusedModulation)
    assert kernels.fusion is not None
