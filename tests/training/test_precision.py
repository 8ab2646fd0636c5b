"""Training in bfloat16, also on CPUs: what is rounded and what is not, and runs that change their precision."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tests.training.conftest import SPEECH, change
from wavegrad.diffusion import loss
from wavegrad.network.conv import Conv
from wavegrad.training import objective
from wavegrad.training.loop import train
from wavegrad.training.recipe import Recipe
from wavegrad.training.state import load_newest
from wavegrad.training.trainer import Trainer
from wavegrad.training.validation import Validator
from wavegrad.training.world import World

UNITS = "avx512_bf16"


@pytest.fixture
def half(recipe) -> Recipe:
    return change(recipe, "run", precision="bfloat16")


def tensors(value: object) -> Iterator[Tensor]:
    """All that hold numbers with a point, at any depth."""
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value
    elif isinstance(value, dict | list | tuple):
        for part in value.values() if isinstance(value, dict) else value:
            yield from tensors(part)


def results(network: nn.Module) -> list[torch.dtype]:
    """The types of what its convolutions make from now on."""
    seen: list[torch.dtype] = []
    for module in network.modules():
        if isinstance(module, Conv):
            module.register_forward_hook(lambda module, inputs, result: seen.append(result.dtype))
    return seen


def test_the_network_computes_in_bfloat16_and_all_that_stays_is_float32(half, clips, monkeypatch):
    """Weights, gradients, moments, averages and the loss; a weight of 8 bits would not move by a thousandth of itself,
    so that most steps would change nothing."""
    errors: list[torch.dtype] = []

    def noise_error(noise: Tensor, predicted: Tensor, norm: str) -> Tensor:
        error = loss.noise_error(noise, predicted, norm)
        errors.extend((predicted.dtype, error.dtype))
        return error

    monkeypatch.setattr(objective, "noise_error", noise_error)
    trainer = Trainer(half, clips)
    seen = results(trainer.network)
    for _ in range(2):
        report = trainer.train_step()
    assert set(seen) == {torch.bfloat16}
    assert errors == 4 * [torch.float32]
    state, parameters = trainer.state(), list(trainer.network.parameters())
    kept = [*tensors(state.network), *tensors(state.ema), *tensors(state.optimizer["state"])]
    assert len(kept) >= 4 * len(parameters)
    figures = report.loss, report.gradient_norm
    assert {x.dtype for x in (*kept, *(p.grad for p in parameters), *figures)} == {torch.float32}
    moved = [not torch.equal(x, x.bfloat16().float()) for x in state.network.values()]
    assert all(moved), "weights that bfloat16 could hold"


def test_a_validation_computes_in_float32(half, clips):
    """The losses of the averaged weights and the synthesis: "best" is judged alike on every machine."""
    trainer = Trainer(half, clips)
    trainer.train_step()
    validator = Validator(change(half, "run", valid_synthesis=1, valid_steps=2), clips, trainer.preprocess)
    vocoder = trainer.vocoder()
    seen = results(trainer.ema.network)
    result = validator(trainer.ema.network, vocoder)
    assert set(seen) == {torch.float32}
    assert set(vocoder._engines) == {"float32"}
    other = Validator(
        change(half, "run", precision="float32", valid_synthesis=1, valid_steps=2), clips, trainer.preprocess
    )
    assert other(trainer.ema.network, vocoder).record() == result.record()


def test_a_run_goes_on_where_the_precision_is_another(recipe, tmp_path, monkeypatch):
    """Of "auto", from a machine with units to one without, and back; a line says so each time, and only then."""
    said: list[str] = []

    def go_on(n_steps: int, units: bool) -> list[str]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {UNITS: units})
        said.clear()
        longer = change(recipe, "run", steps=n_steps, precision="auto")
        assert train(longer, SPEECH, tmp_path / "run", say=said.append).step == n_steps
        return [line for line in said if line.startswith("computing in ")]

    assert go_on(1, True) == []
    assert load_newest(tmp_path / "run" / "checkpoints", print).precision == "bfloat16"
    assert go_on(2, True) == []
    (line,) = go_on(3, False)
    assert line.startswith("computing in float32, before the checkpoint it was bfloat16: the weights fit both")
    assert go_on(4, False) == []
    (line,) = go_on(5, True)
    assert line.startswith("computing in bfloat16, before the checkpoint it was float32")


def test_processes_on_machines_that_make_another_of_auto_do_not_start(recipe, tmp_path, monkeypatch):
    """Each asks its own machine; `check_same` compares what they found."""
    heard = []
    monkeypatch.setattr(World, "check_same", lambda world, facts, device: heard.append(facts))
    for units in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=units: {UNITS: known})
        train(change(recipe, "run", steps=1, precision="auto"), SPEECH, tmp_path / str(units), say=print)
    differing = {name: (fact, heard[1][name]) for name, fact in heard[0].items() if fact != heard[1][name]}
    assert differing == {"precision (name one in run.precision)": ("bfloat16", "float32")}


@pytest.mark.parametrize("units", [True, False])
def test_auto_is_what_the_processor_is_quick_at(recipe, clips, monkeypatch, units):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {UNITS: units})
    losses = []
    for precision in ("auto", "bfloat16", "float32"):
        trainer = Trainer(change(recipe, "run", precision=precision), clips)
        trainer.train_step()
        losses.append(trainer.train_step().loss)
    auto, half, full = losses
    assert torch.equal(auto, half) is units
    assert torch.equal(auto, full) is not units
