"""Where the items of a batch end.

A convolution puts zeros beyond the ends of its input. An item that is shorter than its neighbours in a batch must find
zeros there too, or its last samples would depend on the company it is in: what lies beyond its end is cleared before
every convolution that reaches over it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Ends:
    """Ends of all items at one rate; `mask` and `last` are None where every item fills the batch."""

    mask: Float[Tensor, "batch time 1"] | None = None
    """1 inside an item, 0 beyond its end."""
    last: Tensor | None = None
    """Index of the last position of each item."""

    @classmethod
    def at_rate(cls, frames: Int[Tensor, " batch"], n_frames: int, rate: int, dtype: torch.dtype) -> "Ends":
        """Ends of items of so many `frames`, `rate` positions each, in a batch of `n_frames`."""
        lengths = frames * rate
        inside = torch.arange(n_frames * rate, device=frames.device) < lengths[:, None]
        return cls(inside[:, :, None].to(dtype), lengths - 1)

    def clear_(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Zeros beyond the ends, in place."""
        return x if self.mask is None else x.mul_(self.mask)

    def subtract_at_last_(self, x: Float[Tensor, "batch time channels"], value: Float[Tensor, " channels"]) -> None:
        """x[i, last position of item i] -= value, in place."""
        if self.last is None:
            x[:, -1] -= value
        else:
            x[torch.arange(len(x), device=x.device), self.last] -= value

    def hold_(self, x: Float[Tensor, "batch time channels"]) -> Float[Tensor, "batch time channels"]:
        """Repeat the last value of each item once beyond its end, in place: interpolation is flat there."""
        if self.last is not None:
            items = torch.arange(len(x), device=x.device)
            x[items, (self.last + 1).clamp(max=x.shape[1] - 1)] = x[items, self.last]
        return x
