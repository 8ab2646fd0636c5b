"""FiLM and LeakyReLU in C, there and back: the results and gradients of PyTorch's passes."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from tests.test_compiled import needs_compiler
from tests.training.conftest import change
from wavegrad.compiled import DEFINED, FEW_VALUES
from wavegrad.training import native_film
from wavegrad.training.fused_film import modulated
from wavegrad.training.native_film import NativeFilm
from wavegrad.training.trainer import Trainer

pytestmark = needs_compiler

LARGE = (3, 17, 2 * FEW_VALUES // (3 * 17) + 1)
"""Batch, channels and time: enough for a second thread, and no size that of a vector."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which kernels were called, but for the comparison with PyTorch, which is made once a process."""
    for dtype in DEFINED:
        assert native_film._of_precision(dtype) is not None
    found: list[str] = []
    for name in ("modulated", "gradients"):
        original = getattr(NativeFilm, name)

        def noted(*args, _original=original, _name=name, **kwargs):  # type: ignore[no-untyped-def]
            found.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(NativeFilm, name, noted)
    return found


def drawn(n_batch: int, n_channels: int, n_time: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    """Channels-last, as the network has it."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n_batch, n_time, n_channels, generator=generator).to(dtype).mT


def with_gradients(x, film, gradient, slope):
    x, film = x.detach().requires_grad_(), film.detach().requires_grad_()
    result = modulated(x, film, slope)
    return result, *torch.autograd.grad(result, (x, film), gradient)


def expected(x, film, gradient, slope):
    """By PyTorch's own operations, in float64."""
    x, film = x.detach().double().requires_grad_(), film.detach().double().requires_grad_()
    result = F.leaky_relu(film[:, : x.shape[1]] * x + film[:, x.shape[1] :], slope)
    return result, *torch.autograd.grad(result, (x, film), gradient.double())


def assert_rounded_once(found, wanted):
    """Result within three roundings of its summands, which may cancel, as in the engine; gradients of one product."""
    eps = torch.finfo(found[1].dtype).eps
    torch.testing.assert_close(found[0].double(), wanted[0], rtol=0, atol=20 * eps)
    for a, b in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1.5 * eps, atol=0)


@pytest.mark.parametrize("dtype", list(DEFINED))
@pytest.mark.parametrize("slope", [0.2, 0.01])
@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 1, 1), (2, 16, 1), LARGE])
def test_results_and_gradients_are_pytorchs(calls, n_threads, dtype, slope, shape):
    n_batch, n_channels, n_time = shape
    x, film, gradient = (
        drawn(n_batch, n, n_time, dtype, i) for i, n in enumerate((n_channels, 2 * n_channels, n_channels))
    )
    found = with_gradients(x, film, gradient, slope)
    assert calls == ["modulated", "gradients"]
    assert_rounded_once(found, expected(x, film, gradient, slope))
    assert all(tensor.dtype == dtype and tensor.mT.is_contiguous() for tensor in found)


@pytest.mark.parametrize("dtype", list(DEFINED))
def test_a_gradient_that_lies_otherwise_in_memory(calls, dtype):
    """Neighbours in time, or one value for all of them."""
    x, film, gradient = (drawn(2, n, 6, dtype, i) for i, n in enumerate((4, 8, 4)))
    for given in (gradient.contiguous(), torch.ones((), dtype=dtype).expand(2, 4, 6)):
        assert_rounded_once(with_gradients(x, film, given, 0.2), expected(x, film, given, 0.2))
    assert calls == 2 * ["modulated", "gradients"]


def test_what_is_not_their_business_is_pytorchs(calls):
    """Other layouts, precisions that they do not have, and two at once."""
    x, film, gradient = (drawn(2, n, 6, torch.float32, i) for i, n in enumerate((4, 8, 4)))
    for dtypes in ((torch.float64,) * 3, (torch.float32, torch.float64, torch.float64)):
        given = [tensor.to(dtype) for tensor, dtype in zip((x, film, gradient), dtypes, strict=True)]
        assert_rounded_once(with_gradients(*given, 0.2), expected(*given, 0.2))
    for given in ((x.contiguous(), film, gradient), (x, film.contiguous(), gradient)):
        assert_rounded_once(with_gradients(*given, 0.2), expected(*given, 0.2))
    assert calls == []


def test_the_sign_is_that_of_the_rounded_result():
    """At zero the slope counts, as PyTorch has it; what is no number stays none."""
    x = torch.tensor([0.0, -0.0, 1.0, -1.0, float("nan")]).reshape(1, 1, 5)
    film = torch.stack([torch.ones(5), torch.zeros(5)])[None].mT.contiguous().mT
    result, of_x, of_film = with_gradients(x, film, torch.ones(1, 1, 5), 0.5)
    assert result[0, 0, :4].tolist() == [0.0, -0.0, 1.0, -0.5]
    assert of_x[0, 0, :4].tolist() == [0.5, 0.5, 1.0, 0.5]
    assert of_film[0, 1, :4].tolist() == [0.5, 0.5, 1.0, 0.5]
    assert result[0, 0, 4].isnan()
    assert of_film[0, 0, 4].isnan()


def test_training_uses_them(calls, recipe, clips):
    """Three times for each block."""
    trainer = Trainer(change(recipe, "run", fused_film=True), clips)
    trainer.train_step()
    n = 3 * sum(len(level) for level in trainer.network.ublocks)
    assert calls == n * ["modulated"] + n * ["gradients"]


@pytest.mark.parametrize("fault", ["factor", "shift"])
def test_a_kernel_that_is_wrong_is_not_used(monkeypatch, fault):
    """It is compared with PyTorch first, also in the middle of a training step."""
    original = NativeFilm.gradients

    def wrong(self, *args):
        of_x, of_film = original(self, *args)
        return (1.02 * of_x, of_film) if fault == "factor" else (of_x, of_film.roll(1, dims=1))

    monkeypatch.setattr(NativeFilm, "gradients", wrong)
    native_film._of_precision.cache_clear()
    x, film, gradient = (drawn(2, n, 6, torch.float32, i) for i, n in enumerate((4, 8, 4)))
    try:
        with pytest.warns(UserWarning, match=r"PyTorch's are instead: a gradient of FiLM is off by"):
            found = with_gradients(x, film, gradient, 0.2)
    finally:
        native_film._of_precision.cache_clear()
    assert_rounded_once(found, expected(x, film, gradient, 0.2))


WITHOUT = """
import torch
from wavegrad.training.native_film import native_film
x, film = torch.zeros(1, 5, 4).mT, torch.zeros(1, 5, 8).mT
assert native_film(x, film) is None
"""


def test_without_a_compiler_nothing_is_said(tmp_path):
    environment = {"PATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    kept = {key: value for key, value in os.environ.items() if key not in (*environment, "CC")}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], env=kept | environment, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
