"""Convolutions and matrix products that oneDNN runs with all that it can do in one pass, for x86 processors.

Their weights are brought into its own layout once, where PyTorch's functions do so at every call; and the LeakyReLU or
the sum that follows a convolution is done to a result while it is in registers. The operators are those that
torch.compile makes of frozen models; PyTorch's documentation does not have them.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.ends import Ends
from wavegrad.inference.rows import Rows, RowsConvolution, RowsOut, picture, rows_of
from wavegrad.network.conv import Conv

PRECISIONS = (torch.float32, torch.bfloat16)
TYPICAL_LENGTH = 4096
"""The layout of the weights is the best for signals of about this length; others are right with it, too."""


@dataclass(frozen=True)
class OneDnnConvolution(RowsConvolution):
    """`Convolution`, to rounding."""

    weight: Tensor
    """In a layout that only oneDNN knows."""
    bias: Float[Tensor, " n_out"]
    padding: int
    dilation: int
    stride: int

    @classmethod
    def prepare(cls, conv: Conv, dtype: torch.dtype) -> "OneDnnConvolution":
        """From a layer of the network, whose weights are copied."""
        assert conv.bias is not None
        padding, dilation, stride = int(conv.padding[0]), conv.dilation[0], conv.stride[0]
        shape = [1, conv.in_channels, 1, TYPICAL_LENGTH]
        weight = torch.ops.mkldnn._reorder_convolution_weight(
            conv.weight.detach().to(dtype)[:, :, None].contiguous(), *_image(padding, stride, dilation), 1, shape
        )
        return cls(weight, conv.bias.detach().to(dtype, copy=True), padding, dilation, stride)

    def __call__(self, x: Rows, bias: Tensor | None = None) -> RowsOut:
        return self._run(x, self.bias if bias is None else bias, "none", [])

    def activated(self, x: Rows, slope: float, ends: Ends) -> RowsOut:
        return ends.clear_(self._run(x, self.bias, "leaky_relu", [slope]))

    def add_to_(self, h: RowsOut, x: Rows, ends: Ends) -> RowsOut:
        geometry = _image(self.padding, self.stride, self.dilation)
        torch.ops.mkldnn._convolution_pointwise_.binary(
            picture(h), picture(x), self.weight, self.bias, *geometry, 1, "add", 1.0, None, [], None
        )
        return ends.clear_(h)

    def with_repeated(self, x: Rows, residual: Float[Tensor, "batch time_low channels_out"]) -> RowsOut:
        repeated = residual[:, :, None].expand(-1, -1, x.shape[1] // residual.shape[1], -1)
        return self.add_to_(repeated.clone(memory_format=torch.contiguous_format).flatten(1, 2), x, Ends())

    def _run(self, x: Rows, bias: Tensor, what_follows: str, scalars: list[float]) -> RowsOut:
        geometry = _image(self.padding, self.stride, self.dilation)
        y = torch.ops.mkldnn._convolution_pointwise(
            picture(x), self.weight, bias, *geometry, 1, what_follows, scalars, ""
        )
        return rows_of(y)


@dataclass(frozen=True)
class OneDnnLinear:
    """`Linear`, to rounding; oneDNN's matrix product, not its convolution (see there)."""

    weight: Tensor
    """In a layout that only oneDNN knows."""
    bias: Float[Tensor, " n_out"]

    @classmethod
    def prepare(
        cls, weight: Float[Tensor, "n_out n_in"], bias: Float[Tensor, " n_out"], dtype: torch.dtype
    ) -> "OneDnnLinear":
        """The weights are copied."""
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach().to(dtype), TYPICAL_LENGTH)
        return cls(packed, bias.detach().to(dtype, copy=True))

    def __call__(self, x: Rows) -> RowsOut:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


def onednn_convolution(conv: Conv, dtype: torch.dtype) -> OneDnnConvolution | None:
    """Of a layer of the network, where it can be used."""
    return OneDnnConvolution.prepare(conv, dtype) if is_for_onednn(conv.weight, dtype) else None


def onednn_linear(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> OneDnnLinear | None:
    """A matrix product, where it can be used."""
    return OneDnnLinear.prepare(weight, bias, dtype) if is_for_onednn(weight, dtype) else None


def is_for_onednn(weight: Tensor, dtype: torch.dtype) -> bool:
    """Whether `OneDnnConvolution` can be used for weights on this device, in this precision."""
    return (
        weight.device.type == "cpu"
        and dtype in PRECISIONS
        and torch.backends.mkldnn.is_available()
        and torch.cpu.get_capabilities().get("architecture") == "x86_64"
    )


def _image(padding: int, stride: int, dilation: int) -> tuple[list[int], list[int], list[int]]:
    """Padding, stride and dilation of a picture of one line."""
    return [0, padding], [1, stride], [1, dilation]
