"""Scale, shift, LeakyReLU and mask in one kernel: the same as PyTorch's passes, or seen not to be."""

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import Make, inputs
from wavegrad.inference import Engine, EngineOptions
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import Modulate, modulated
from wavegrad.inference.fused_film import FusedModulation, check_modulation
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.network import NETWORKS

CPU = torch.device("cpu")
FLOATS = (torch.float32, torch.bfloat16, torch.float16)
needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="this PyTorch has no Triton")


def in_a_process(script: str, tmp_path: Path, **environment: str) -> str:
    """What a part of this folder prints: Triton decides on import whether it interprets."""
    path = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2]), "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, str(Path(__file__).parent / script)]
    done = subprocess.run(command, capture_output=True, text=True, env=path | environment, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs_triton
def test_the_interpreted_kernel_is_what_pytorch_computes(tmp_path: Path) -> None:
    assert in_a_process("interpreted_film.py", tmp_path, TRITON_INTERPRET="1") == "the same\n"


@needs_triton
def test_the_kernel_compiles_for_an_h200(tmp_path: Path) -> None:
    """With the arguments that it is called with, by the assembler that comes with Triton; no GPU is needed."""
    assert in_a_process("compiled_film.py", tmp_path) == "compiled\n"


def rounded_once(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    once = modulated(x.float(), film.float(), slope, Ends(None if ends.mask is None else ends.mask.float()))
    return once.to(x.dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_right_kernel_is_seen_to_be_right(dtype: torch.dtype) -> None:
    check_modulation(rounded_once, CPU, dtype)


def swapped(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    return modulated(x, film.roll(film.shape[2] // 2, 2), slope, ends)


def without_mask(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    return modulated(x, film, slope, Ends())


def straight(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    return modulated(x, film, 1.0, ends)


def short_of_the_last_row(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    out = modulated(x, film, slope, ends)
    out[-1, -1] = out[-1, -1] if ends.mask is not None else 0.0
    return out


def not_a_number(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    return torch.full_like(x, float("nan"))


def a_little_off(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
    """Four roundings of the precision."""
    return modulated(x * (1 + 2 * torch.finfo(x.dtype).eps), film, slope, ends)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "wrong",
    [swapped, without_mask, straight, short_of_the_last_row, not_a_number, a_little_off],
    ids=lambda f: f.__name__,
)
def test_a_kernel_with_another_result_is_seen_to_be_wrong(wrong: Modulate, dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match="it is off by up to"):
        check_modulation(wrong, CPU, dtype)


def test_what_is_counted_is_what_is_modulated(make: Make) -> None:
    """Every modulation of a step goes through the function that was chosen, with as many values as the figures in the
    module's docstring count."""
    counted = 0

    def counting(x: Tensor, film: Tensor, slope: float, ends: Ends) -> Tensor:
        nonlocal counted
        counted += x[0].numel()
        return modulated(x, film, slope, ends)

    network = make()
    engine = dataclasses.replace(
        Engine.prepare(network), network=PreparedNetwork.prepare(network, torch.float64, counting)
    )
    y, mel, levels = inputs(network, 1, 4)
    with torch.inference_mode():
        found = engine.bind(mel)(y, levels[:1])
        torch.testing.assert_close(found, Engine.prepare(network).bind(mel)(y, levels[:1]), rtol=0, atol=0)
    assert counted == modulated_values(network.config.ublock_channels, network.config.factors, 4)
    base = modulated_values(NETWORKS["base"].ublock_channels, NETWORKS["base"].factors, 80)
    assert round(base / 1e6, 1) == 22.1
    assert round(base * (8 - 4) * 2 * 6 / 1e9, 2) == 1.06


def modulated_values(channels: tuple[int, ...], factors: tuple[int, ...], n_frames: int) -> int:
    """By all blocks of a network of one block a level, in one step over so many frames."""
    values, rate = 0, n_frames
    for width, factor in zip(channels, factors, strict=True):
        rate *= factor
        values += 3 * width * rate
    return values


@pytest.mark.gpu
@pytest.mark.parametrize("frames", [[9, 9], [3, 70]])
@pytest.mark.parametrize("n_graphs", [0, 8])
def test_an_engine_with_and_without(make: Make, frames: list[int], n_graphs: int) -> None:
    network = make().float()
    y, mel, levels = (value.cuda() for value in inputs(network, 2, max(frames)))
    engines = [Engine.prepare(network.cuda(), options=EngineOptions(n_graphs, fused)) for fused in (True, False)]
    assert [type(engine.network.ublocks[0][0].modulate) is FusedModulation for engine in engines] == [True, False]
    with torch.inference_mode():
        fused, plain = (engine.bind(mel, frames)(y, levels[:1].expand(2)) for engine in engines)
    assert (fused - plain).norm() < 1e-5 * plain.norm()
