"""FiLM and the LeakyReLU behind it as one operation of autograd, which keeps less for the backward pass.

The two share a gradient: that of the shift is that of the sum, and those of the scale and the feature are products with
it. So the sum itself need not be kept, nor gradients of scale and shift be made apart and joined. On a CPU each way is
one pass over the memory, where that can be compiled (`native_film.py`).
"""

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from wavegrad.network.film import Film
from wavegrad.network.ublock import UBlock
from wavegrad.shapes import Feature
from wavegrad.training.native_film import native_film


def run_fused(network: nn.Module) -> None:
    """Let every UBlock of a network modulate as this module has it; in place. Parameters and results stay."""
    for module in network.modules():
        if isinstance(module, UBlock):
            module.modulated = partial(modulated, slope=module.slope)  # type: ignore[method-assign]


def modulated(x: Feature, film: Film, slope: float) -> Feature:
    """LeakyReLU(gamma x + xi), differentiable once; torch.compile sees what it is made of, which it joins by itself."""
    if torch.compiler.is_compiling():  # Dynamo leaves the graph at results that are written into parts of a tensor
        scale, shift = film.chunk(2, dim=1)
        return F.leaky_relu(torch.addcmul(shift, scale, x), slope)
    return _Modulated.apply(x, film, slope)


class _Modulated(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, film: Tensor, slope: float) -> Tensor:
        kernels = native_film(x, film)
        if kernels is not None:
            return kernels.modulated(x, film, slope)
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
        kernels = native_film(x, film)
        if kernels is not None:
            return *kernels.gradients(gradient, x, film, result, ctx.slope), None
        of_film = torch.empty_like(film)
        of_scale, of_shift = of_film.chunk(2, dim=1)
        of_sum = torch.ops.aten.leaky_relu_backward.grad_input
        of_sum(gradient, result, ctx.slope, True, grad_input=of_shift)  # a result has the sign of its sum
        torch.mul(of_shift, x, out=of_scale)
        return of_shift * film.chunk(2, dim=1)[0], of_film, None
