"""Loss-aware importance sampling of noise levels: what costs most is drawn most, and weighs the less for it."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

HISTORY = 10
"""Losses that are remembered of each bucket."""
MOST_BUCKETS = 100
"""Neighbouring steps share a bucket, so that a training schedule of 1000 steps is known after some thousand crops."""


@dataclass(frozen=True)
class LossHistory:
    """The newest losses of each stretch of a training schedule; a value, like everything here.

    Differs from the paper: a history for each bucket of neighbouring steps instead of each step.
    """

    n_steps: int
    """S, of the training schedule."""
    losses: Float64[Tensor, "buckets history"]
    """Oldest first; NaN where there is none yet."""

    @classmethod
    def empty(cls, n_steps: int) -> "LossHistory":
        """Before the first loss."""
        return cls(n_steps, torch.full((min(n_steps, MOST_BUCKETS), HISTORY), torch.nan, dtype=torch.float64))

    @property
    def full(self) -> bool:
        """Whether every bucket has its whole history; until then all steps are equally likely."""
        return not bool(self.losses.isnan().any())

    def bucket(self, step: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """Of each step 1 ... S."""
        return (step - 1) * len(self.losses) // self.n_steps

    def probabilities(self) -> Float64[Tensor, " n_steps"]:
        """p_t ~ sqrt(E[L_t^2]) over the history (Nichol and Dhariwal 2021, eq. 18), at index t - 1."""
        root = self.losses.square().mean(1).sqrt() if self.full else torch.ones(len(self.losses), dtype=torch.float64)
        likely = root[self.bucket(torch.arange(1, self.n_steps + 1))]
        return likely / likely.sum()

    def draw(
        self, n_items: int, generator: torch.Generator
    ) -> tuple[Int64[Tensor, " batch"], Float64[Tensor, " batch"]]:
        """Steps, and the weights 1 / (S p_t) that keep the expected loss that of uniform steps; on the generator's
        device."""
        p = self.probabilities().to(generator.device)
        index = torch.multinomial(p, n_items, replacement=True, generator=generator)
        return index + 1, 1 / (self.n_steps * p[index])

    def record(self, step: Int64[Tensor, " batch"], losses: Float[Tensor, " batch"]) -> "LossHistory":
        """With these losses, each one pushing out the oldest of its bucket; one that is not finite tells nothing."""
        kept = self.losses.clone()
        for bucket, loss in zip(self.bucket(step).tolist(), losses.tolist(), strict=True):
            if not math.isfinite(loss):
                continue
            kept[bucket] = torch.cat((kept[bucket, 1:], torch.tensor([loss], dtype=torch.float64)))
        return LossHistory(self.n_steps, kept)
