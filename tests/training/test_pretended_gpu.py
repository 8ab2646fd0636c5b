"""Training on a GPU, on tensors that only pretend to be there: nothing stays on the CPU, and no value is looked at.

Each trainer has a process of its own: the third in one makes PyTorch 2.11 die.
"""

import contextlib
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
import torch.distributed.tensor  # makes types of torch.Generator, which is another below
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tests.training.conftest import alone, change
from wavegrad.audio.prior import PriorGains
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.network import WaveGrad
from wavegrad.training.data import Clip
from wavegrad.training.objective import Objective
from wavegrad.training.optimizer import build_optimizer, load_optimizer, update
from wavegrad.training.recipe import OptimizerRecipe, Recipe
from wavegrad.training.trainer import Trainer
from wavegrad.training.world import World, joined_world

CUDA = torch.device("cuda")


def pin(x: Tensor) -> Tensor:
    """As of PyTorch, which refuses tensors of a GPU."""
    if x.device.type != "cpu":
        raise RuntimeError("cannot pin 'torch.cuda.FloatTensor' only dense CPU tensors can be pinned")
    return x


def there(draw: Any) -> Any:
    """A function of `torch` whose generator pretends to be one of a GPU."""

    def drawn(*size: Any, generator: object = None, device: Any = None, **options: Any) -> Tensor:
        return draw(*size, device=device if generator is None else CUDA, **options)

    return drawn


@contextlib.contextmanager
def gpu(recipe: Any) -> Iterator[None]:
    """Inside, every new tensor is pretended, and a trainer of this recipe takes the GPU."""
    objective = Objective(recipe)
    gains, levels = PriorGains(recipe.model.mel_config(), recipe.model.prior), objective.schedule.noise_levels

    def network(config: Any) -> WaveGrad:
        with CUDA, patch("torch.nn.init.orthogonal_"):
            return WaveGrad(config)

    def backward(loss: Tensor) -> None:
        """PyTorch's own asks for a device."""
        for parameter in made[-1].parameters():
            parameter.grad = torch.empty_like(parameter)

    made: list[WaveGrad] = []
    generator = torch.Generator
    with contextlib.ExitStack() as stack:
        for name, replacement in {
            "wavegrad.training.trainer.choose_device": lambda name: CUDA,
            "wavegrad.training.trainer.Objective": lambda recipe: objective,
            "wavegrad.training.trainer.WaveGrad": lambda config: made.append(network(config)) or made[-1],
            "wavegrad.training.step.PriorGains": lambda *configs: gains,
            "torch.Generator": lambda device: generator(),
            "torch.amp.autocast_mode.torch.cuda.amp.common.amp_definitely_not_available": lambda: False,
            "torch.cuda.is_bf16_supported": lambda *emulated, **named: True,
            **{f"torch.{name}": there(getattr(torch, name)) for name in ("rand", "randn", "randint")},
        }.items():
            stack.enter_context(patch(name, replacement))
        stack.enter_context(patch.object(NoiseSchedule, "noise_levels", levels))
        stack.enter_context(patch.object(WaveGrad, "to", lambda self, device: self))
        stack.enter_context(patch.multiple(Tensor, pin_memory=pin, backward=backward))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        yield


OPTIONS = [
    {},
    {"corpus_on_device": False},
    {"whole_mels": True, "accumulate": 2},
    {"channels_last": False, "fused_film": False, "precision": "float32"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_step_stays_on_the_device(recipe, clips, options):
    """A value that is looked at makes the host wait; pretended ones have none, so that it would raise."""
    alone(check_device, change(recipe, "run", **{"precision": "auto", "prefetch": 0, **options}), clips[:1], options)


def check_device(recipe: Recipe, clips: list[Clip], options: dict[str, object]) -> None:
    with gpu(recipe):
        trainer = Trainer(recipe, clips)
        for _ in range(2):
            report = trainer.train_step()
    assert (trainer.precision == "bfloat16") is ("precision" not in options)
    assert {x.device for x in (report.loss, report.gradient_norm, trainer._broken)} == {torch.device("cuda", 0)}
    assert {p.device.type for p in (*trainer.network.parameters(), *trainer.ema.network.parameters())} == {"cuda"}
    assert {x.device.type for state in trainer.optimizer.state.values() for x in state.values()} == {"cuda"}


def test_importance_sampling_looks_at_no_value(recipe, clips):
    """Nor does it bring the losses to the host."""
    recipe = change(recipe, "run", precision="bfloat16")
    alone(check_history, change(recipe, "objective", level_sampling="importance"), clips)


def check_history(recipe: Recipe, clips: list[Clip]) -> None:
    with gpu(recipe):
        trainer = Trainer(recipe, clips)
        for _ in range(2):
            trainer.train_step()
    assert trainer.history.losses.device == torch.device("cuda", 0)


def test_the_plain_optimizer_looks_at_a_value(recipe, clips):
    """As its key says; so this machinery sees looks."""
    alone(check_look, change(recipe, "run", fused_optimizer=False, precision="bfloat16"), clips)


def check_look(recipe: Recipe, clips: list[Clip]) -> None:
    with gpu(recipe), pytest.raises(DataDependentOutputException):
        Trainer(recipe, clips).train_step()


@pytest.mark.parametrize("fused", [True, False])
def test_all_features_have_half_precision(recipe, clips, fused):
    """All that a step keeps for the backward pass between layers; autocast made the upsampled ones float32, and with
    them all that was added to them."""
    alone(check_features, change(recipe, "run", precision="bfloat16", fused_film=fused), clips)


def check_features(recipe: Recipe, clips: list[Clip]) -> None:
    kept: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        kept.append(x)
        return x

    with gpu(recipe):
        trainer = Trainer(recipe, clips)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            trainer.train_step()
    features = [x for x in kept if x.dim() >= 3 and len(x) == recipe.data.batch_size]
    assert len(features) > 50
    assert {x.dtype for x in features} == {torch.bfloat16}


def test_drawing_weights_is_no_business_of_gpus(recipe, clips, monkeypatch):
    """With several of them PyTorch warned, and each process woke all."""
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.setattr("torch.cuda.get_rng_state", None)
    monkeypatch.setattr("torch.cuda.manual_seed_all", None)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (Trainer(recipe, clips).network.state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("fused", [True, False])
def test_a_run_goes_on_with_the_other_optimizer(fused):
    """A checkpoint of the plain one made the fused one fail, and the other way round it stayed fused."""
    network = torch.nn.Linear(3, 2)
    optimizers = [build_optimizer(network, OptimizerRecipe(), which) for which in (not fused, fused)]
    network(torch.ones(3)).sum().backward()
    update(optimizers[0], 1e-3, torch.zeros(()))
    load_optimizer(optimizers[1], optimizers[0].state_dict())
    assert [group["fused"] for group in optimizers[1].param_groups] == [fused]
    update(optimizers[1], 1e-3, torch.zeros(()))
    assert [state["step"].item() for state in optimizers[1].state.values()] == [2.0, 2.0]


def test_each_process_takes_its_gpu(monkeypatch):
    """Before anything else, and the process group is told."""
    happened: list[Any] = []
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", happened.append)
    monkeypatch.setattr("wavegrad.training.world._store", lambda world: None)
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *a, **named: happened.append((*a, named)))
    with joined_world(True) as world:
        assert world == World(3, 4, 1)
    device, (backend, named) = happened
    assert (device, backend, named["device_id"]) == (1, "nccl", torch.device("cuda", 1))
    monkeypatch.setenv("LOCAL_RANK", "2")
    with (
        pytest.raises(ConfigError, match="process 2 of this machine has no GPU: PyTorch sees 2; lower"),
        joined_world(True),
    ):
        pass


def test_cudnn_is_tuned_within_a_step_only(recipe, clips):
    seen = []
    for on in (True, False):
        trainer = Trainer(change(recipe, "run", tune_convolutions=on), clips)
        trainer.network.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.benchmark))
        trainer.train_step()
        assert not torch.backends.cudnn.benchmark
    assert seen == [True, False]


def test_a_compiled_network_is_one_graph():
    """In a process of its own: the checks of types that tests do would break it."""
    command = [sys.executable, str(Path(__file__).parent / "compiled_network.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stdout) == (0, "one graph\n"), done.stderr
