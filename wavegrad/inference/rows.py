"""How features lie inside the engine, and what every convolution of it can do.

A feature is `batch time channels`, contiguous: 1x1 convolutions are matrix products, the phases of an upsampled signal
lie side by side, and oneDNN sees its channels-last layout without a copy.
"""

from abc import ABC, abstractmethod

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Rows = Float[Tensor, "batch time channels"]
"""A Feature with time before channels."""
RowsOut = Float[Tensor, "batch time_out channels_out"]
"""What a layer makes of Rows."""


class RowsConvolution(ABC):
    """A convolution with zeros beyond both ends; with a stride it gives one position for each `stride`.

    What follows it in the network follows it here in a second pass, unless a subclass does both in one.
    """

    @abstractmethod
    def __call__(self, x: Rows, bias: Float[Tensor, " channels_out"] | None = None) -> RowsOut:
        """`bias` takes the place of the layer's own."""

    def activated(self, x: Rows, slope: float) -> RowsOut:
        """LeakyReLU(conv(x))."""
        return F.leaky_relu_(self(x), slope)

    def add_to_(self, h: RowsOut, x: Rows) -> RowsOut:
        """h += conv(x), in place."""
        return h.add_(self(x))


def picture(x: Tensor) -> Tensor:
    """Rows as a picture of one line, channels last, which oneDNN convolves; the same memory."""
    return x.transpose(1, 2).unsqueeze(2)


def rows_of(y: Tensor) -> RowsOut:
    """The inverse of `picture`."""
    return y.squeeze(2).transpose(1, 2).contiguous()
