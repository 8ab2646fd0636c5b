"""Heun's method on the probability-flow ODE."""

from dataclasses import dataclass

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.shapes import Waveform


@dataclass(frozen=True, kw_only=True)
class Heun(Sampler):
    """Heun's second-order method (Karras et al. 2022, Algorithm 1) for x = y / sqrt(alpha_bar), in which the
    probability-flow ODE (Song et al. 2021, eq. 13) is dx / dsigma = epsilon_theta, sigma = sqrt(1 / alpha_bar - 1)."""

    @property
    def order(self) -> int:
        """2."""
        return 2

    def n_calls(self, schedule: NoiseSchedule) -> int:
        """How often the network is called: 2 N - 1."""
        return 2 * schedule.n_steps - 1

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """Euler's step, then the mean of the slopes at both its ends (Karras et al. 2022, Algorithm 1).

        The last step, to sigma = 0, is Euler's alone, as there: it leads to the predicted y_0, and at level 0 there is
        no noise to predict.
        """
        outer, inner = (walk.spread(k) / walk.signal(k) for k in (n, n - 1))
        x, slope = y / walk.signal(n), walk.predict(y, n)
        ahead = walk.signal(n - 1) * (x + (inner - outer) * slope)
        if n == 1:
            return ahead
        mean = (slope + walk.predict(ahead, n - 1)) / 2
        return walk.signal(n - 1) * (x + (inner - outer) * mean)
