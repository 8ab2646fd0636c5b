"""What the steps of one walk from noise to data share."""

import math
from collections.abc import Callable

import torch

from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import WavegradError
from wavegrad.shapes import NoiseLevel, Waveform

Predict = Callable[[Waveform, NoiseLevel], Waveform | tuple[Waveform, Waveform]]
"""`PredictNoise`, or the same of a network with learned variance: (noise, v), both `batch time`, v in [0, 1]."""


class Walk:
    """The levels, the network and the noise of one call of a sampler.

    Level n has alpha_bar_n; level 0 is the data, alpha_bar_0 = 1. In y_n = signal(n) y_0 + spread(n) epsilon.

    Args:
        predict: epsilon_theta with its condition bound.
        schedule: N steps.
        noise: standard normal noise of an index, `batch time`; see `Sampler` for which one belongs to what.
    """

    def __init__(self, predict: Predict, schedule: NoiseSchedule, noise: Callable[[int], Waveform]):
        self._predict = predict
        self.noise = noise
        self._betas = schedule.betas
        self.alpha_bars: tuple[float, ...] = (1.0, *schedule.alpha_bars.tolist())
        self.n_steps = schedule.n_steps
        self.previous_clean: Waveform | None = None
        """The last prediction of y_0, where a multistep solver leaves it for its next step."""

    def signal(self, n: int) -> float:
        """sqrt(alpha_bar_n)."""
        return self.alpha_bars[n] ** 0.5

    def spread(self, n: int) -> float:
        """sqrt(1 - alpha_bar_n)."""
        return (1 - self.alpha_bars[n]) ** 0.5

    def half_log_snr(self, n: int) -> float:
        """lambda_n = log(signal(n) / spread(n)), for n > 0."""
        return 0.5 * math.log(self.alpha_bars[n] / (1 - self.alpha_bars[n]))

    def beta(self, n: int) -> float:
        """beta_n, of the step from level n to level n - 1."""
        return self._betas[n - 1]

    def beta_tilde(self, n: int) -> float:
        """(1 - alpha_bar_{n-1}) / (1 - alpha_bar_n) beta_n, the variance of q(y_{n-1} | y_n, y_0) (DDPM, eq. 7)."""
        return (1 - self.alpha_bars[n - 1]) / (1 - self.alpha_bars[n]) * self.beta(n)

    def predict(self, y: Waveform, n: int) -> Waveform:
        """epsilon_theta(y, sqrt(alpha_bar_n)): one network call."""
        return self.predict_at(y, self.alpha_bars[n], n)[0]

    def predict_at(self, y: Waveform, alpha_bar: float, n: int) -> tuple[Waveform, Waveform | None]:
        """The noise at any level, and the network's v where it has one; `n` is the step that asks, for messages.

        Raises:
            WavegradError: a prediction is not finite, or not of the shape of y; the message names the step.
        """
        level = y.new_full((1,), alpha_bar**0.5).expand(len(y))  # by its layout one level for all items
        predicted = self._predict(y, level)
        noise, v = predicted if isinstance(predicted, tuple) else (predicted, None)
        where = f"at refinement step {n} of {self.n_steps}"
        for part in (noise, v):
            if part is not None:
                _check(part, y, where)
        return noise.to(y.dtype), None if v is None else v.to(y.dtype)

    def clean(self, y: Waveform, n: int) -> Waveform:
        """y_0 = (y - sqrt(1 - alpha_bar_n) epsilon_theta) / sqrt(alpha_bar_n) (DDPM, Ho et al. 2020, eq. 15)."""
        return (y - self.spread(n) * self.predict(y, n)) / self.signal(n)


def _check(predicted: torch.Tensor, y: torch.Tensor, where: str) -> None:
    if predicted.shape != y.shape:
        raise WavegradError(f"the prediction has shape {tuple(predicted.shape)}, y has {tuple(y.shape)} {where}")
    if not torch.isfinite(predicted).all():
        items = (~torch.isfinite(predicted)).any(dim=1).nonzero().flatten().tolist()
        raise WavegradError(
            f"the network's prediction is not finite {where} (items {items} of the batch): the waveform ran away, as "
            "it does with a network that has hardly been trained or much guidance; train it on, or try another sampler"
        )
