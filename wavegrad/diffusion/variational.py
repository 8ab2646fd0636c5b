"""One term of the variational bound: what a step from one noise level to a cleaner one costs."""

import math

from jaxtyping import Float
from torch import Tensor

from wavegrad.shapes import NoiseLevel, Waveform

BIT = math.log(2)
"""Nats."""


def bound_term(
    noise: Waveform, predicted: Waveform, v: Waveform, outer: NoiseLevel, inner: NoiseLevel
) -> Float[Tensor, "batch time"]:
    """KL(q(y_inner | y_outer, y_0) || p(y_inner | y_outer)), bits (Ho et al. 2020, eq. 5; Nichol and Dhariwal 2021, eq.
    15).

    q has the variance beta_tilde, p has sigma^2 = exp(v log beta + (1 - v) log beta_tilde): v = 0 is Algorithm 2's
    "posterior" variance, 1 is "beta". With D = epsilon - epsilon_theta and r = log(sigma^2 / beta_tilde) the divergence
    of the two Gaussians is (r + e^-r - 1 + e^-r D^2 beta / (alpha (1 - alpha_bar_inner))) / 2 nats.

    Where `inner` is 1 the term is the decoder, -log p(y_0 | y_outer), with the continuous density N(mu, beta), whatever
    v is. Differs from Ho et al. 2020, eq. 13, whose decoder gives probabilities of 8-bit values: a whitened waveform
    has no such grid. So these are bits of a density, and may be negative.

    Args:
        noise: epsilon, of the mixture at `outer`.
        predicted: epsilon_theta.
        v: share of log beta in the log-variance, in [0, 1].
        outer: sqrt(alpha_bar) where the step starts, inside (0, 1).
        inner: sqrt(alpha_bar) where it ends, above `outer`.
    """
    alpha_bar, inner_bar = (level.double().square()[:, None] for level in (outer, inner))
    beta = 1 - alpha_bar / inner_bar
    last = inner_bar == 1
    left = (1 - inner_bar).where(~last, 1.0)  # any number will do where it is not used
    error = (noise - predicted).square()
    ratio = v * ((1 - alpha_bar) / left).log().to(v.dtype)
    scale = (beta * inner_bar / (alpha_bar * left)).to(error.dtype)
    divergence = ratio + (-ratio).expm1() + (-ratio).exp() * scale * error
    decoder = (2 * math.pi * beta).log().to(error.dtype) + error / alpha_bar.to(error.dtype)
    return decoder.where(last, divergence) / (2 * BIT)
