"""What every sampler is: a frozen value that walks from noise to data."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from wavegrad.diffusion.counter_noise import seeded_noise
from wavegrad.diffusion.samplers.walk import Predict, Walk
from wavegrad.diffusion.schedule import NoiseSchedule, warn_of_terminal_level
from wavegrad.errors import ConfigError
from wavegrad.shapes import Waveform


@dataclass(frozen=True, kw_only=True)
class Sampler(ABC):
    """A way back from noise to data: N steps, level N to level N - 1, ..., level 1 to level 0. Nothing is clamped.

    The last step goes to alpha_bar_0 = 1, where the log-SNR is infinite: every sampler ends on the network's prediction
    of y_0 at level 1, and adds no noise there.

    Noise is `seeded_noise`, a function of seed, index and sample position: y_N is index N, the z that goes into y_n
    index n, and the k-th further draw at level n (k = 1, 2, ...) index n + k (N + 1). Two samplers with the same seed
    see the same noise, and an item does not depend on its neighbours.
    """

    data_std: float = 1.0
    """Standard deviation d of the data, for the start y_N ~ N(0, alpha_bar_N d^2 + 1 - alpha_bar_N), the variance that
    level N has. 1 is the paper's start from pure noise, and right for whitened waveforms; it matters for quieter data
    where a schedule ends far from pure noise."""

    def __post_init__(self) -> None:
        if not 0 <= self.data_std < float("inf"):
            raise ConfigError(f"data_std is {self.data_std}; it must be 0 or a positive number")

    @property
    @abstractmethod
    def order(self) -> int | None:
        """p: halving all steps (in log-SNR) divides the error at level 1 by 2^p. Of the path where the sampler is
        deterministic, of the marginal variance (weak order) where it is not. None: it does not vanish."""

    @property
    def is_local(self) -> bool:
        """Whether a sample of y_{n-1} depends on the prediction near it only, not on means over the whole item: then
        items of a batch may have different lengths."""
        return True

    def n_calls(self, schedule: NoiseSchedule) -> int:
        """How often the network is called."""
        return schedule.n_steps

    @abstractmethod
    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """y_{n-1} from y_n."""

    def __call__(
        self,
        predict_noise: Predict,
        schedule: NoiseSchedule,
        n_samples: int,
        seeds: Sequence[int],
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        on_step: Callable[[int, Waveform], None] | None = None,
        start: Waveform | None = None,
    ) -> Waveform:
        """Walk from y_N to y_0.

        Args:
            predict_noise: epsilon_theta(y, noise_level) with its condition bound; `batch time`, ` batch` -> `batch
                time`, or (noise, v) of a network with learned variance. Guidance and the like are bound by the caller.
            schedule: N steps; step n uses beta_n and sqrt(alpha_bar_n).
            n_samples: length of the result.
            seeds: one for each item of the batch; an item depends on its own seed only.
            device: where the state lives.
            dtype: precision of the state.
            on_step: called after every step with n and y_{n-1}.
            start: y_N, `batch time`; left out, seeded noise.

        Returns:
            y_0, `batch time`.

        Raises:
            ConfigError: no seeds, or a start of another shape than theirs.
            WavegradError: a prediction is not finite, or not of the shape of y; the message names the step.

        Warns:
            ScheduleWarning: sqrt(alpha_bar_N) is so large that pure noise is a wrong start (and it was not changed).
        """
        noise = seeded_noise(seeds, device, dtype)
        if start is not None:
            start = _given(start, len(seeds), n_samples).to(device, dtype)
        elif self.data_std == 1:
            warn_of_terminal_level(schedule)
        walk = Walk(predict_noise, schedule, lambda index: noise(index, n_samples))
        return self.refine(walk, start, on_step)

    def refine(
        self, walk: Walk, start: Waveform | None = None, on_step: Callable[[int, Waveform], None] | None = None
    ) -> Waveform:
        """All steps of a walk that is set up; arguments and result as in a call."""
        y = self._start(walk) if start is None else start
        for n in range(walk.n_steps, 0, -1):
            y = self._step(walk, y, n)
            if on_step is not None:
                on_step(n, y)
        return y

    def _start(self, walk: Walk) -> Waveform:
        noise = walk.noise(walk.n_steps)
        alpha_bar = walk.alpha_bars[-1]
        return noise if self.data_std == 1 else (alpha_bar * self.data_std**2 + 1 - alpha_bar) ** 0.5 * noise


def _given(start: torch.Tensor, n_items: int, n_samples: int) -> torch.Tensor:
    if start.shape != (n_items, n_samples):
        raise ConfigError(f"start has shape {tuple(start.shape)}; {n_items} seeds and {n_samples} samples were given")
    return start
