"""Kernels in C: the results of PyTorch's passes, wherever they are compiled, kept and run."""

import itertools
import os
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.inference.conftest import Make, inputs
from tests.test_compiled import needs_compiler
from wavegrad.compiled import DEFINED, FEW_VALUES
from wavegrad.inference import Engine, EngineOptions, KernelWarning, native
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import modulated
from wavegrad.inference.kernels import choose_kernels
from wavegrad.inference.native import NativeKernels
from wavegrad.inference.upsampled_conv import sum_phases

CPU = torch.device("cpu")


pytestmark = needs_compiler


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where nothing has been compiled yet, in a process that has loaded nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._library.cache_clear()
    yield tmp_path / "wavegrad"
    native._library.cache_clear()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("dtype", list(DEFINED))
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (1, 70, 16), (3, 33, 37), (1, FEW_VALUES // 64 + 1, 64)])
def test_modulation(shape: tuple[int, int, int], dtype: torch.dtype, n_threads: int) -> None:
    """Exactly the result of float32, rounded once (in float32: to the rounding of the product); few values and many,
    with ends and without, and tensors that are parts of larger ones."""
    kernels = NativeKernels.load(dtype)
    n_batch, n_time, n_channels = shape
    lengths = torch.arange(n_batch)[:, None, None] * 3 % n_time + 1
    mask = (torch.arange(n_time)[:, None] < lengths).to(dtype)
    wide = drawn(n_batch, n_time, 6 * n_channels).to(dtype)
    x, film = wide[:, :, ::6], wide[:, :, 1::3]
    for ends, strided in itertools.product((Ends(), Ends(mask)), (True, False)):
        given = (x, film) if strided else (x.contiguous(), film.contiguous())
        found = kernels.modulate(*given, 0.2, ends)
        mask_32 = None if ends.mask is None else ends.mask.float()
        exact = modulated(x.float(), film.float(), 0.2, Ends(mask_32))
        assert found.is_contiguous()
        if dtype == torch.float32:
            torch.testing.assert_close(found, exact, rtol=0, atol=2e-6)
        else:
            neighbours = torch.finfo(dtype).eps * exact.abs() + 1e-6
            assert ((found.float() - exact).abs() <= 0.5001 * neighbours).all()


def test_halfway_between_two_neighbours_is_the_even_one() -> None:
    x = torch.tensor([1 / 256, 3 / 256, -5 / 256, 1 / 512]).bfloat16().repeat(16)[None, None]
    film = torch.ones(1, 1, 128, dtype=torch.bfloat16)
    found = NativeKernels.load(torch.bfloat16).modulate(x, film, 1.0, Ends())
    assert torch.equal(found, (x.float() + 1).bfloat16())
    assert found[0, 0, :4].tolist() == [1.0, 1 + 2 / 128, 1 - 5 / 256, 1.0]


@pytest.mark.parametrize("dtype", list(DEFINED))
@pytest.mark.parametrize(("factor", "dilation"), list(itertools.product((2, 3, 5, 7), (1, 2, 8))))
def test_repeated_values(factor: int, dilation: int, dtype: torch.dtype, n_threads: int) -> None:
    """All factors and dilations of networks; two items, so that none sees the other's end."""
    kernels = NativeKernels.load(dtype)
    for n_time, n_channels in ((1, 3), (9, 37), (FEW_VALUES // 64, 64)):
        taps = drawn(2, n_time, 3, n_channels).to(dtype)
        exact = sum_phases(taps.double(), factor, dilation)
        found = kernels.phases(taps, factor, dilation).double()
        assert ((found - exact).abs() <= torch.finfo(dtype).eps * exact.abs() + 1e-6).all()


def test_what_is_no_number_stays_none() -> None:
    for dtype in DEFINED:
        kernels = NativeKernels.load(dtype)
        x = torch.tensor([1.0, torch.nan, torch.inf, -torch.inf]).to(dtype)[None, None].repeat(1, 1, 9)
        film = torch.ones(1, 1, 72, dtype=dtype)
        torch.testing.assert_close(
            kernels.modulate(x, film, 0.2, Ends()), modulated(x, film, 0.2, Ends()), equal_nan=True
        )
        assert kernels.phases(torch.full((1, 2, 3, 40), torch.nan, dtype=dtype), 2, 1).isnan().all()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_engine_with_and_without(make: Make, precision: str) -> None:
    """Whole predictions, items of two lengths: 1e-5 in float32; in bfloat16 both as near to float64's."""
    network = make()
    y, mel, levels = inputs(network, 2, 9)
    with torch.inference_mode():
        exact = Engine.prepare(network).bind(mel, [9, 4])(y, levels[:1].expand(2))
        network, single = network.float(), (y.float(), levels[:1].float().expand(2))
        engines = [Engine.prepare(network, precision, EngineOptions(fused=fused)) for fused in (True, False)]
        used = [engine.network.ublocks[0][0].modulate for engine in engines]
        errors = [(engine.bind(mel.float(), [9, 4])(*single) - exact).norm() / exact.norm() for engine in engines]
    assert isinstance(getattr(used[0], "__self__", None), NativeKernels)
    assert used[1] is modulated
    assert max(errors) < (1e-5 if precision == "float32" else 0.02)


def test_compared_with_pytorch_once_in_a_process(own_cache: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """For each precision, whatever engines are prepared."""
    checked, original = [], NativeKernels.check

    def watched(kernels: NativeKernels, device: torch.device, dtype: torch.dtype) -> None:
        checked.append(dtype)
        original(kernels, device, dtype)

    monkeypatch.setattr(NativeKernels, "check", watched)
    for precision in ("float32", "bfloat16", "float32"):
        Engine.prepare(make().float(), precision)
    assert checked == [torch.float32, torch.bfloat16]


def test_an_engine_that_may_not_compiles_nothing(own_cache: Path, make: Make) -> None:
    Engine.prepare(make().float(), options=EngineOptions(fused=False))
    assert not own_cache.exists()
    Engine.prepare(make().float())
    assert len(list(own_cache.iterdir())) == 1


def test_without_a_compiler_nothing_is_said(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(own_cache))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernels = choose_kernels(CPU, torch.float32)
    assert kernels.modulate is modulated
    assert kernels.fusion is not None
    assert kernels.fusion.phases is None


@pytest.mark.parametrize("fault", ["fails", "lies", "is not there"])
def test_a_compiler_that_cannot(own_cache: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """One line says why, PyTorch does the work, and nothing broken is kept."""
    own_cache.parent.mkdir(exist_ok=True)
    compiler = own_cache.parent / "broken"
    if fault != "is not there":
        compiler.write_text("#!/bin/sh\n" + ("echo no OpenMP here >&2; exit 1\n" if fault == "fails" else "exit 0\n"))
        compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(compiler))
    with pytest.warns(KernelWarning, match="no OpenMP here" if fault == "fails" else "No such file") as said:
        assert choose_kernels(CPU, torch.bfloat16).modulate is modulated
    assert len(said) == 1
    assert not own_cache.exists() or not list(own_cache.iterdir())


def in_a_process(code: str, **environment: str) -> str:
    path = {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | path | environment
    ).stdout


@pytest.mark.parametrize("first", ["", "import sklearn.utils"])
def test_threads_are_those_of_pytorch(first: str) -> None:
    """As many as the caller wants, none is started for one, and none beside PyTorch's, also where another package has
    brought an OpenMP of its own."""
    if first:
        pytest.importorskip("sklearn")
    code = """
import os, torch
from wavegrad.inference.ends import Ends
from wavegrad.inference.native import NativeKernels
kernels = NativeKernels.load(torch.float32)
x, film = torch.randn(1, 4096, 64), torch.randn(1, 4096, 128)
threads = lambda: len(os.listdir("/proc/self/task"))
torch.set_num_threads(1)
before = threads()
kernels.modulate(x, film, 0.2, Ends())
one = threads() - before
torch.set_num_threads(3)
kernels.modulate(x, film, 0.2, Ends())
three = threads() - before
x * x  # PyTorch's own: in the same threads
print(one, three, threads() - before)
"""
    assert in_a_process(f"{first}\n{code}", OMP_NUM_THREADS="3").split() == ["0", "2", "2"]
