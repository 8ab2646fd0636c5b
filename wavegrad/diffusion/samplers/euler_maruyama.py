"""Euler and Maruyama's method on the reverse-time SDE."""

import math
from dataclasses import dataclass

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.shapes import Waveform


@dataclass(frozen=True, kw_only=True)
class EulerMaruyama(Sampler):
    """Euler-Maruyama on the reverse of the VP-SDE dy = -1/2 beta(t) y dt + sqrt(beta(t)) dw (Song et al. 2021, eq. 6
    and 11).

    A schedule fixes only the integral of beta(t) over a step, B_n = -log alpha_n; beta_n is its value to first order.
    For small steps: where B_n is not far below 1 (the noisiest steps of a short schedule) it is not stable.
    """

    @property
    def order(self) -> int:
        """1, of the marginals."""
        return 1

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """y_{n-1} = y + B_n (y / 2 + score) + sqrt(B_n) z, score = -epsilon_theta / sqrt(1 - alpha_bar_n) (Song et al.
        2021, eq. 6).

        Differs from it at n = 1: near level 0 the score grows without bound, so the step leads to the predicted y_0,
        which it does to first order anyway.
        """
        if n == 1:
            return walk.clean(y, n)
        integral = -math.log1p(-walk.beta(n))
        score = -walk.predict(y, n) / walk.spread(n)
        return y + integral * (y / 2 + score) + integral**0.5 * walk.noise(n - 1)
