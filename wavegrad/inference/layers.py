"""Layers with weights that were prepared once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.inference.ends import Ends
from wavegrad.inference.quantized import QuantizedConvolution, QuantizedLinear, is_wide
from wavegrad.inference.rows import Fusion, Pointwise, Rows, RowsConvolution, RowsOut, picture, rows_of
from wavegrad.network.conv import Conv


@dataclass(frozen=True)
class Linear:
    """A convolution of kernel 1: the matrix product of every position.

    Never oneDNN's convolution: its bfloat16 1x1 kernel was seen to be wrong over exactly five positions.
    """

    weight: Float[Tensor, "n_out n_in"]
    bias: Float[Tensor, " n_out"]

    @classmethod
    def prepare(cls, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> "Linear":
        """The weights are copied."""
        return cls(weight.to(dtype, copy=True), bias.to(dtype, copy=True))

    def __call__(self, x: Rows) -> RowsOut:
        return F.linear(x, self.weight, self.bias)


@dataclass(frozen=True)
class Convolution(RowsConvolution):
    """In any precision, on any device."""

    weight: Float[Tensor, "n_out n_in 1 kernel"]
    bias: Float[Tensor, " n_out"]
    padding: int
    dilation: int
    stride: int

    @classmethod
    def prepare(cls, conv: Conv, dtype: torch.dtype) -> "Convolution":
        """From a layer of the network, the weights laid out for oneDNN and cuDNN."""
        weight = conv.weight.detach()[:, :, None].to(dtype, copy=True, memory_format=torch.channels_last)
        return cls(weight, bias_of(conv).to(dtype, copy=True), int(conv.padding[0]), conv.dilation[0], conv.stride[0])

    def __call__(self, x: Rows, bias: Tensor | None = None) -> RowsOut:
        return self._convolved(x, self.bias if bias is None else bias)

    def products(self, x: Rows) -> RowsOut:
        """Without a bias."""
        return self._convolved(x, None)

    def _convolved(self, x: Rows, bias: Tensor | None) -> RowsOut:
        y = F.conv2d(
            picture(x),
            self.weight,
            bias,
            stride=(1, self.stride),
            padding=(0, self.padding),
            dilation=(1, self.dilation),
        )
        return rows_of(y)


def linear_of(weight: Tensor, bias: Tensor, dtype: torch.dtype, fusion: Fusion | None = None) -> Pointwise:
    """A matrix product in `dtype`; torch.int8 is for wide ones, the others stay in float32."""
    if dtype == torch.int8 and is_wide(weight):
        return QuantizedLinear.prepare(weight, bias)
    make = None if fusion is None else fusion.pointwise
    fused = None if make is None else make(weight, bias, float_of(dtype))
    return fused or Linear.prepare(weight, bias, float_of(dtype))


def convolution_of(conv: Conv, dtype: torch.dtype, fusion: Fusion | None = None) -> RowsConvolution:
    """A convolution in `dtype`, as `linear_of`; with what follows it, where `fusion` has such a one."""
    if dtype == torch.int8 and is_wide(conv.weight):
        return QuantizedConvolution.prepare(conv)
    fused = None if fusion is None else fusion.convolution(conv, float_of(dtype))
    return fused or Convolution.prepare(conv, float_of(dtype))


def float_of(dtype: torch.dtype) -> torch.dtype:
    """What lies between layers: float32 where they multiply integers."""
    return torch.float32 if dtype == torch.int8 else dtype


def bias_of(conv: Conv) -> Float[Tensor, " n_out"]:
    """Every convolution of the network has one."""
    assert conv.bias is not None
    return conv.bias.detach()


def activate_(x: Rows, slope: float, ends: Ends) -> Rows:
    """LeakyReLU in place, and zeros beyond the ends: ready for a convolution."""
    return ends.clear_(F.leaky_relu_(x, slope))


def activated(x: Rows, slope: float) -> Rows:
    """LeakyReLU of a feature that is needed as it is, too; zeros stay zeros."""
    return F.leaky_relu(x, slope)
