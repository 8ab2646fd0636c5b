"""How features lie inside the engine, and what every convolution of it can do.

A feature is `batch time channels`, contiguous: 1x1 convolutions are matrix products, the phases of an upsampled signal
lie side by side, and oneDNN sees its channels-last layout without a copy.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.ends import Ends
from wavegrad.network.conv import Conv

Rows = Float[Tensor, "batch time channels"]
"""A Feature with time before channels."""
RowsOut = Float[Tensor, "batch time_out channels_out"]
"""What a layer makes of Rows."""
Taps = Float[Tensor, "batch time taps channels"]
"""The products of a position with each of a convolution's three taps."""


class RowsConvolution(ABC):
    """A convolution with zeros beyond both ends; with a stride it gives one position for each `stride`.

    What follows it in the network follows it here in a second pass, unless a subclass does both in one.
    """

    @abstractmethod
    def __call__(self, x: Rows, bias: Float[Tensor, " channels_out"] | None = None) -> RowsOut:
        """`bias` takes the place of the layer's own."""

    def activated(self, x: Rows, slope: float, ends: Ends) -> RowsOut:
        """LeakyReLU(conv(x)), zero beyond the ends."""
        return ends.clear_(F.leaky_relu_(self(x), slope))

    def add_to_(self, h: RowsOut, x: Rows, ends: Ends) -> RowsOut:
        """h + conv(x), zero beyond the ends; h is lost."""
        return ends.clear_(h.add_(self(x)))

    def with_repeated(self, x: Rows, residual: Float[Tensor, "batch time_low channels_out"]) -> RowsOut:
        """conv(x) + residual, each value of which is repeated to the length of the result."""
        h = self(x)
        h.unflatten(1, (residual.shape[1], -1)).add_(residual[:, :, None])
        return h


Pointwise = Callable[[Rows], RowsOut]
"""A convolution of kernel 1: the matrix product of every position."""


@dataclass(frozen=True)
class Fusion:
    """What a device does in one pass where others take several."""

    convolution: Callable[[Conv, torch.dtype], RowsConvolution | None]
    """A convolution with what follows it, in a precision; None where there is none."""
    phases: Callable[[Taps, int, int], RowsOut] | None = None
    """In place of `upsampled_conv.sum_phases`."""
    pointwise: Callable[[Tensor, Tensor, torch.dtype], Pointwise | None] | None = None
    """From weight `n_out n_in` and bias, as `convolution`."""


def picture(x: Tensor) -> Tensor:
    """Rows as a picture of one line, channels last, which oneDNN convolves; the same memory."""
    return x.transpose(1, 2).unsqueeze(2)


def rows_of(y: Tensor) -> RowsOut:
    """The inverse of `picture`."""
    return y.squeeze(2).transpose(1, 2).contiguous()
