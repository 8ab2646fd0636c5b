"""FiLM and the LeakyReLU behind it as one operation of autograd; what no gradient needs is overwritten.

The two share a gradient: that of the shift is that of the sum, and those of the scale and the feature are products with
it. So the sum itself need not be kept, nor gradients of scale and shift be made apart and joined. A LeakyReLU behind a
convolution works in place, since the convolution does not need what it gave.
"""

import types
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wavegrad.network.conv import downsample, upsample
from wavegrad.network.dblock import DBlock, mean_of
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.shapes import Feature, FeatureOut, NoiseLevel

Film = Float[Tensor, "batch scale_and_shift time"]
"""gamma and xi of every position, in this order along the channels."""
FilmOut = Float[Tensor, "batch scale_and_shift time_out"]
"""At the rate that a UBlock goes up to."""


def run_fused(network: nn.Module) -> None:
    """Let every block of a network run as this module has it; in place. Parameters and results stay."""
    for module in network.modules():
        forward = _FORWARDS.get(type(module))
        if forward is not None:
            module.forward = types.MethodType(forward, module)


def modulated(x: Feature, film: Film, slope: float) -> Feature:
    """LeakyReLU(gamma x + xi), differentiable once; torch.compile sees what it is made of, which it joins by itself."""
    if torch.compiler.is_compiling():  # Dynamo leaves the graph at results that are written into parts of a tensor
        scale, shift = film.chunk(2, dim=1)
        return F.leaky_relu(torch.addcmul(shift, scale, x), slope)
    return _Modulated.apply(x, film, slope)


class _Modulated(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, film: Tensor, slope: float) -> Tensor:
        scale, shift = film.chunk(2, dim=1)
        return F.leaky_relu_(torch.addcmul(shift, scale, x), slope)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
        x, film, ctx.slope = inputs
        ctx.save_for_backward(x, film, output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, film, result = ctx.saved_tensors
        of_film = torch.empty_like(film)
        of_scale, of_shift = of_film.chunk(2, dim=1)
        of_sum = torch.ops.aten.leaky_relu_backward.grad_input
        of_sum(gradient, result, ctx.slope, True, grad_input=of_shift)  # a result has the sign of its sum
        torch.mul(of_shift, x, out=of_scale)
        return of_shift * film.chunk(2, dim=1)[0], of_film, None


def _film_forward(self: FiLM, x: Feature, noise_level: NoiseLevel) -> Film:
    """Undivided."""
    h = F.leaky_relu_(self.input(x), self.activation.negative_slope)
    return self.output(h + self.embedding(noise_level).to(h.dtype)[:, :, None])


def _ublock_forward(self: UBlock, x: Feature, film: FilmOut) -> FeatureOut:
    conv_1, conv_2, conv_3, conv_4 = self.convs
    residual = upsample(self.residual(x), self.factor, self.mode)
    h = conv_1(upsample(F.leaky_relu(x, self.slope), self.factor, self.mode))
    h = conv_2(modulated(h, film, self.slope)) + residual
    u = conv_3(modulated(h, film, self.slope))
    return h + conv_4(modulated(u, film, self.slope))


def _dblock_forward(self: DBlock, x: Feature) -> FeatureOut:
    if self.mode == "strided":
        residual = self.residual(mean_of(x, self.factor))
    else:
        residual = downsample(self.residual(x), self.factor, self.mode)
        x = downsample(x, self.factor, self.mode)
    conv_1, *convs = self.convs
    x = conv_1(F.leaky_relu(x, self.slope))
    for conv in convs:
        x = conv(F.leaky_relu_(x, self.slope))
    return x + residual


_FORWARDS: dict[type[nn.Module], Callable[..., Tensor]] = {
    FiLM: _film_forward,
    UBlock: _ublock_forward,
    DBlock: _dblock_forward,
}
