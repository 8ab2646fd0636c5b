"""DPM-Solver++: exponential integrators for the predicted y_0."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError, unknown
from wavegrad.shapes import Waveform

Variant = Literal["1S", "2S", "2M"]


@dataclass(frozen=True, kw_only=True)
class DPMSolver(Sampler):
    """DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095): the linear part of the probability-flow ODE is solved exactly,
    and y_0(lambda) is expanded in lambda = log(sqrt(alpha_bar) / sqrt(1 - alpha_bar)), half the log-SNR.

    With a fixed prediction D the step from level s to level t is exact (from their proposition 4.1):
    y_t = spread_t / spread_s y_s + (signal_t - signal_s spread_t / spread_s) D. Written so, it needs no lambda, and
    for t = 0, where lambda is infinite, it is y_0 = D. The last step is of first order in every variant, and has to
    be: there is neither a middle between lambda_1 and infinity nor a finite extrapolation to it.
    """

    variant: Literal["1S", "2S", "2M"] = "2M"
    """"1S": D is the prediction at s; this is DDIM with eta = 0. "2S": D is the prediction in the middle of the step
    (their Algorithm 1, r = 1/2); two network calls for each step but the last. "2M": D is extrapolated from the
    predictions of this step and the one before (Algorithm 2); one network call a step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in get_args(Variant):
            raise ConfigError(unknown("variant", self.variant, get_args(Variant)))

    @property
    def order(self) -> int:
        """1 for 1S, 2 for the others (Lu et al. 2022, sec. 4)."""
        return 1 if self.variant == "1S" else 2

    def n_calls(self, schedule: NoiseSchedule) -> int:
        """How often the network is called: N, or 2 N - 1 for 2S."""
        return 2 * schedule.n_steps - 1 if self.variant == "2S" else schedule.n_steps

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """The three variants (Lu et al. 2022, Algorithms 1 and 2)."""
        y_0 = walk.clean(y, n)
        if n > 1 and self.variant == "2S":
            y_0 = _clean_half_way(walk, y, y_0, n)
        if self.variant == "2M":
            previous, walk.previous_clean = walk.previous_clean, y_0
            if n > 1 and previous is not None:
                ratio = (walk.half_log_snr(n) - walk.half_log_snr(n + 1)) / _length(walk, n)
                y_0 = y_0 + (y_0 - previous) / (2 * ratio)
        return _towards(y, y_0, walk.alpha_bars[n], walk.alpha_bars[n - 1])


def _length(walk: Walk, n: int) -> float:
    """h = lambda_{n-1} - lambda_n."""
    return walk.half_log_snr(n - 1) - walk.half_log_snr(n)


def _clean_half_way(walk: Walk, y: Waveform, y_0: Waveform, n: int) -> Waveform:
    """The prediction of y_0 at (lambda_n + lambda_{n-1}) / 2, where a first-order step leads."""
    middle = walk.half_log_snr(n) + _length(walk, n) / 2
    alpha_bar = 1 / (1 + math.exp(-2 * middle))
    u = _towards(y, y_0, walk.alpha_bars[n], alpha_bar)
    predicted, _ = walk.predict_at(u, alpha_bar, n)
    return (u - (1 - alpha_bar) ** 0.5 * predicted) / alpha_bar**0.5


def _towards(y: Waveform, y_0: Waveform, alpha_bar: float, inner: float) -> Waveform:
    """From alpha_bar to `inner` with a fixed prediction of y_0 (Lu et al. 2022, from proposition 4.1)."""
    shrink = ((1 - inner) / (1 - alpha_bar)) ** 0.5
    return shrink * y + (inner**0.5 - alpha_bar**0.5 * shrink) * y_0
