"""Predictor and corrector: Langevin steps at every level."""

from dataclasses import dataclass

import torch

from wavegrad.diffusion.samplers.ancestral import Ancestral
from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.shapes import Waveform


@dataclass(frozen=True, kw_only=True)
class PredictorCorrector(Sampler):
    """An ancestral step to level n - 1, then annealed Langevin dynamics there (Song et al. 2021, Algorithms 3 and 5;
    NCSN, Song and Ermon 2019, Algorithm 1)."""

    n_corrections: int = 1
    """M, Langevin steps at each of the levels N - 1 ... 1; at level 0 the score is infinite and there are none."""
    snr: float = 0.16
    """r, "signal-to-noise ratio": it sets the size of the Langevin steps. 0.16 is the paper's for images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_corrections < 0:
            raise ConfigError(f"n_corrections is {self.n_corrections}; it must be 0 or more")
        if not 0 <= self.snr < float("inf"):
            raise ConfigError(f"snr is {self.snr}; it must be 0 or a positive number")

    @property
    def order(self) -> int | None:
        """None: Langevin steps of a fixed size leave a bias of their own. Without corrections it is `Ancestral`: 1."""
        return None if self.n_corrections else 1

    def n_calls(self, schedule: NoiseSchedule) -> int:
        """How often the network is called: N + M (N - 1)."""
        return schedule.n_steps + self.n_corrections * (schedule.n_steps - 1)

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """Predict level n - 1, then correct there (Song et al. 2021, Algorithm 3)."""
        y = Ancestral()._step(walk, y, n)
        for k in range(1, self.n_corrections + 1 if n > 1 else 1):
            y = self._correct(walk, y, n - 1, walk.noise(n - 1 + k * (walk.n_steps + 1)))
        return y

    def _correct(self, walk: Walk, y: Waveform, n: int, z: Waveform) -> Waveform:
        """y + e score + sqrt(2 e) z, e = 2 alpha_n (r |z| / |score|)^2, score = -epsilon_theta / sqrt(1 - alpha_bar_n)
        (Song et al. 2021, Algorithm 5).

        Differs from their code: the norms are those of each item, not means over the batch. No score at all, no step.
        """
        score = -walk.predict(y, n) / walk.spread(n)
        power, seen = (x.square().mean(dim=1, keepdim=True) for x in (z, score))
        step = 2 * (1 - walk.beta(n)) * self.snr**2 * torch.where(seen > 0, power / seen, 0.0)
        return y + step * score + (2 * step).sqrt() * z
