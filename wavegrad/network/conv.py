"""One-dimensional convolutions, run as two-dimensional ones over a channels-last memory layout.

Tensors keep the shape `batch channels time`; only their strides differ. oneDNN is quicker with them than with
`torch.nn.Conv1d`: `wavegrad benchmark train RECIPE --options channels_last` says by how much. On a GPU it has not been
measured.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from wavegrad.shapes import Feature, FeatureOut

Resampling = Literal["nearest", "linear"]


class Conv(nn.Conv1d):
    """Convolution that keeps the length (stride 1) or divides it by `stride`; weights as in `torch.nn.Conv1d`."""

    def __init__(
        self, n_in: int, n_out: int, kernel: int, dilation: int = 1, stride: int = 1, padding: int | None = None
    ):
        same = dilation * (kernel - 1) // 2
        super().__init__(n_in, n_out, kernel, stride, same if padding is None else padding, dilation)

    def forward(self, x: Feature, slope: float | None = None) -> FeatureOut:
        """With a `slope`, the LeakyReLU of the result: in place, since no gradient needs what a convolution gave.

        Not behind the squeeze: autograd copies the gradient of what is changed in place in a view, three times and into
        another layout.
        """
        y = F.conv2d(
            x.unsqueeze(2),
            self.weight.unsqueeze(2),
            self.bias,
            stride=(1, self.stride[0]),
            padding=(0, int(self.padding[0])),
            dilation=(1, self.dilation[0]),
        )
        return (y if slope is None else F.leaky_relu_(y, slope)).squeeze(2)


def channels_last(x: Feature) -> Feature:
    """The same values, laid out so that the channels of one sample are neighbours in memory."""
    return x.transpose(1, 2).contiguous().transpose(1, 2)


def upsample(x: Feature, factor: int, mode: Resampling) -> FeatureOut:
    """`batch channels time` -> `batch channels time*factor`; "nearest", the paper's, repeats each value."""
    if factor == 1:
        return x
    with torch.autocast(x.device.type, enabled=False):  # it would widen the result to float32, and all that follows
        if mode == "nearest":
            return F.interpolate(x.unsqueeze(2), scale_factor=(1.0, float(factor)), mode="nearest").squeeze(2)
        return F.interpolate(x, scale_factor=float(factor), mode="linear")


def downsample(x: Feature, factor: int, mode: Resampling) -> FeatureOut:
    """`batch channels time` -> `batch channels time/factor` by picking or interpolating values, without a filter."""
    if factor == 1:
        return x
    return F.interpolate(x, size=x.shape[2] // factor, mode=mode)


def orthogonal_(module: nn.Module) -> None:
    """Orthogonal weights and zero biases for every convolution below `module` (the paper: all UBlocks and DBlocks)."""
    for layer in module.modules():
        if isinstance(layer, Conv):
            nn.init.orthogonal_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
