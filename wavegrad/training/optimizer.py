"""The optimiser and its learning rate."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.training.recipe import OptimizerRecipe


def build_optimizer(network: nn.Module, recipe: OptimizerRecipe, fused: bool = True) -> torch.optim.Optimizer:
    """Adam or AdamW over all parameters; `fused`: one kernel for all of them."""
    kind = torch.optim.AdamW if recipe.name == "adamw" else torch.optim.Adam
    return kind(
        network.parameters(), lr=recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay, fused=fused
    )


def update(optimizer: torch.optim.Optimizer, rate: float, skip: Float[Tensor, ""]) -> None:
    """One step of `build_optimizer`'s optimiser at a learning rate.

    Where `skip` is 1, on the device, nothing changes, not even the optimiser's count of steps: the fused kernels have
    this for gradient scaling, and it spares the host a wait for "was all finite?". Without them the host waits.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate
    if not optimizer.defaults["fused"]:
        if not skip.item():
            optimizer.step()
        return
    optimizer.grad_scale = None  # type: ignore[attr-defined]
    optimizer.found_inf = skip  # type: ignore[attr-defined]
    optimizer.step()


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """The state of an optimiser that was perhaps built with another `fused`: the saved one would replace this one's."""
    groups = [{**group, "fused": optimizer.defaults["fused"]} for group in state["param_groups"]]
    optimizer.load_state_dict({**state, "param_groups": groups})


def steps_taken(optimizer: torch.optim.Optimizer) -> int:
    """Steps since the optimiser was new, those that were skipped not counted; waits for the device."""
    return next((int(state["step"].item()) for state in optimizer.state.values()), 0)


def learning_rate(step: int, total_steps: int, recipe: OptimizerRecipe) -> float:
    """Learning rate of step 0, 1, ..., total_steps - 1: linear warm-up, then cosine or constant."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    if recipe.decay == "constant":
        return recipe.learning_rate
    progress = (step - recipe.warmup_steps) / max(1, total_steps - 1 - recipe.warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return recipe.learning_rate * (recipe.final_rate + (1 - recipe.final_rate) * share)
