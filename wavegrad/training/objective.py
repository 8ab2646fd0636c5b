"""What one step draws, and the loss of the recipe's objective on it."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from wavegrad.diffusion.importance import LossHistory
from wavegrad.diffusion.loss import item_means, masked_mean, noise_error
from wavegrad.diffusion.noise_level import Positions, draw_positions, draw_shares
from wavegrad.diffusion.process import diffuse
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.diffusion.variational import bound_term
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, NoiseLevel, Waveform
from wavegrad.training.recipe import Recipe
from wavegrad.training.refinement import RefinementDraws, RefinementLoss
from wavegrad.training.step import Example


@dataclass(frozen=True)
class Targets:
    """What is drawn for a whole step, an entry for each of its items."""

    steps: Int64[Tensor, " batch"]
    """Step of the training schedule whose interval the level is in."""
    levels: NoiseLevel
    """sqrt(alpha_bar) of the mixture."""
    inner_levels: Float64[Tensor, " batch"]
    """sqrt(alpha_bar) one step of the training schedule closer to the clip."""
    noise: Waveform
    dropped: Bool[Tensor, " batch"] | None
    """True where the condition is left out; None where none ever is."""
    weights: Float[Tensor, " batch"] | None
    """Of importance sampling; None where all levels are equally likely."""
    refinement: RefinementDraws | None
    """Of the crops that the network makes itself; None where it makes none."""

    def part(self, chosen: slice) -> "Targets":
        """Only these items."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        draws = values.pop("refinement")
        cut = {name: value[chosen] for name, value in values.items() if value is not None}
        return replace(self, **cut, refinement=None if draws is None else draws.part(chosen))


class Objective:
    """The loss that a recipe asks for: WaveGrad's, or one of its family."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe.objective
        self.norm = recipe.optimizer.loss
        self.schedule: NoiseSchedule = recipe.schedule.schedule()
        self.refinement = RefinementLoss(recipe) if recipe.refinement.weight else None

    def draw(
        self, n_items: int, n_samples: int, generator: torch.Generator, history: LossHistory | None, step: int = 0
    ) -> Targets:
        """Noise levels and noise of a whole step (WaveGrad, Algorithm 1), on the device of the generator.

        Args:
            history: of the losses, with importance sampling.
            step: of the training; with refinement, which number of steps is its turn.
        """
        weights = None
        if history is None:
            positions = draw_positions(self.schedule, n_items, generator)
        else:
            steps, weights = history.draw(n_items, generator)
            positions = Positions(steps, draw_shares(n_items, generator))
        if self.recipe.conditioning == "index":  # the levels of the steps themselves
            positions = Positions(positions.step, torch.ones_like(positions.share))
        noise = torch.randn(n_items, n_samples, generator=generator, device=generator.device)
        dropped = None
        if self.recipe.condition_dropout > 0:
            share = torch.rand(n_items, generator=generator, device=generator.device)
            dropped = share < self.recipe.condition_dropout
        return Targets(
            positions.step,
            positions.levels(self.schedule).float(),
            positions.inner_levels(self.schedule),
            noise,
            dropped,
            None if weights is None else weights.float(),
            None if self.refinement is None else self.refinement.draw(step, n_items, n_samples, generator),
        )

    def loss(
        self, network: WaveGrad, example: Example, targets: Targets
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " batch"]]:
        """The loss, averaged over the samples that count, and that of each item, without its weight."""
        mel = _drop(network, example.mel, targets)
        y = diffuse(example.y_0, targets.levels, targets.noise)
        if self.recipe.learned_variance:
            error = self._hybrid_error(network, y, mel, targets)
        else:
            error = noise_error(targets.noise, network(y, mel, targets.levels).float(), self.norm)
        return masked_mean(error, example.mask, targets.weights), item_means(error.detach(), example.mask)

    def refined(self, network: WaveGrad, example: Example, targets: Targets) -> Float[Tensor, ""]:
        """What these items add to the refinement loss of the step, without its weight; 0 where there is none."""
        if self.refinement is None or targets.refinement is None:
            return example.y_0.new_zeros(())
        return self.refinement(network, example, targets.refinement)

    def _hybrid_error(self, network: WaveGrad, y: Waveform, mel: Mel, targets: Targets) -> Waveform:
        """L_hybrid = L_simple + lambda L_vlb (Nichol and Dhariwal 2021, eq. 16), of every sample.

        L_vlb is the number of steps times the term of one of them, in bits. It teaches the variance only: the mean in
        it is taken for a constant (sec. 3.1). Differs from the paper: levels are continuous, so the term is that of the
        step from the drawn level to the one that lies a whole step of the training schedule closer to the clip. The
        decoder of the first step is left out: no sampler adds noise there, so its variance is fixed, and there is
        nothing to learn from it. The paper's L_simple is the recipe's "l2".
        """
        noise, v = network.noise_and_variance(y, mel, targets.levels)
        noise = noise.float()
        simple = noise_error(targets.noise, noise, self.norm)
        term = bound_term(targets.noise, noise.detach(), v, targets.levels.double(), targets.inner_levels)
        term = term.where(targets.inner_levels[:, None] < 1, 0.0)
        return simple + self.recipe.vlb_weight * self.schedule.n_steps * term


class ObjectiveOfNetwork(nn.Module):
    """`Objective.loss` and `Objective.refined` of one network as a module: what a data-parallel wrapper takes."""

    def __init__(self, objective: Objective, network: WaveGrad):
        super().__init__()
        self.objective = objective
        self.network = network

    def forward(
        self, example: Example, targets: Targets
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " batch"], Float[Tensor, ""]]:
        mean, of_items = self.objective.loss(self.network, example, targets)
        return mean, of_items, self.objective.refined(self.network, example, targets)


def _drop(network: WaveGrad, mel: Mel, targets: Targets) -> Mel:
    """Without the condition of the items that lose it (Ho and Salimans 2022, algorithm 1).

    The prior keeps its mel: what is dropped is what the network is told.
    """
    if targets.dropped is None:
        return mel
    return torch.where(targets.dropped[:, None, None], network.no_condition(mel), mel)
