"""Loss-aware importance sampling of noise levels: what costs most is drawn most, and weighs the less for it."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

HISTORY = 10
"""Losses that are remembered of each bucket."""
MOST_BUCKETS = 100
"""Neighbouring steps share a bucket, so that a training schedule of 1000 steps is known after some thousand crops."""


@dataclass(frozen=True)
class LossHistory:
    """The newest losses of each stretch of a training schedule; a value, like everything here.

    Differs from the paper: a history for each bucket of neighbouring steps instead of each step. Everything is done
    where the losses are, and the host does not wait for it.
    """

    n_steps: int
    """S, of the training schedule."""
    losses: Float64[Tensor, "buckets history"]
    """Oldest first; NaN where there is none yet."""

    @classmethod
    def empty(cls, n_steps: int, device: torch.device | None = None) -> "LossHistory":
        """Before the first loss."""
        size = min(n_steps, MOST_BUCKETS), HISTORY
        return cls(n_steps, torch.full(size, torch.nan, dtype=torch.float64, device=device))

    @property
    def full(self) -> Bool[Tensor, ""]:
        """Whether every bucket has its whole history; until then all steps are equally likely."""
        return ~self.losses.isnan().any()

    def bucket(self, step: Int64[Tensor, " batch"]) -> Int64[Tensor, " batch"]:
        """Of each step 1 ... S."""
        return (step - 1) * len(self.losses) // self.n_steps

    def probabilities(self) -> Float64[Tensor, " n_steps"]:
        """p_t ~ sqrt(E[L_t^2]) over the history (Nichol and Dhariwal 2021, eq. 18), at index t - 1."""
        root = self.losses.square().mean(1).sqrt().where(self.full, 1.0)
        likely = root[self.bucket(torch.arange(1, self.n_steps + 1, device=root.device))]
        return likely / likely.sum()

    def draw(
        self, n_items: int, generator: torch.Generator
    ) -> tuple[Int64[Tensor, " batch"], Float64[Tensor, " batch"]]:
        """Steps, and the weights 1 / (S p_t) that keep the expected loss that of uniform steps.

        The generator is on the device of the losses.
        """
        p = self.probabilities()
        index = torch.multinomial(p, n_items, replacement=True, generator=generator)
        return index + 1, 1 / (self.n_steps * p[index])

    def record(self, step: Int64[Tensor, " batch"], losses: Float[Tensor, " batch"]) -> "LossHistory":
        """With these losses, each one pushing out the oldest of its bucket; one that is not finite tells nothing."""
        n_buckets, n_kept = self.losses.shape
        buckets = torch.arange(n_buckets, device=self.losses.device)
        before = buckets[:, None].expand_as(self.losses).flatten()
        told = self.bucket(step).where(losses.isfinite(), n_buckets)  # beyond the last one: told to nobody
        bucket, order = torch.cat((before, told)).sort(stable=True)
        in_turn = torch.cat((self.losses.flatten(), losses.double()))[order]  # by bucket, oldest first
        ends = torch.searchsorted(bucket, buckets, right=True)
        newest = ends[:, None] + torch.arange(-n_kept, 0, device=ends.device)
        return LossHistory(self.n_steps, in_turn[newest])
