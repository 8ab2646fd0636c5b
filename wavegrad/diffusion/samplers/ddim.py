"""DDIM: from no noise to as much as the ancestral sampler adds."""

from dataclasses import dataclass

from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.diffusion.samplers.walk import Walk
from wavegrad.errors import ConfigError
from wavegrad.shapes import Waveform


@dataclass(frozen=True, kw_only=True)
class DDIM(Sampler):
    """Denoising diffusion implicit models (Song, Meng and Ermon 2021, eq. 12 and 16)."""

    eta: float = 0.0
    """0: deterministic. 1: `Ancestral` with the posterior variance, up to rounding."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.eta <= 1:
            raise ConfigError(f"eta is {self.eta}; it must lie between 0 and 1")

    @property
    def order(self) -> int:
        """1: exact where the predicted y_0 stays the same, as Euler's method in sqrt(1 / alpha_bar - 1) is (eq. 14)."""
        return 1

    def _step(self, walk: Walk, y: Waveform, n: int) -> Waveform:
        """y_{n-1} = sqrt(alpha_bar_{n-1}) y_0 + sqrt(1 - alpha_bar_{n-1} - sigma_n^2) epsilon_theta + sigma_n z, with
        sigma_n^2 = eta^2 beta~_n (Song, Meng and Ermon 2021, eq. 12 and 16).

        Where n = 1, both roots are 0: y_0 is left.
        """
        predicted = walk.predict(y, n)
        y_0 = (y - walk.spread(n) * predicted) / walk.signal(n)
        sigma = self.eta * walk.beta_tilde(n) ** 0.5
        direction = max(walk.spread(n - 1) ** 2 - sigma**2, 0.0) ** 0.5
        y = walk.signal(n - 1) * y_0 + direction * predicted
        return y + sigma * walk.noise(n - 1) if sigma else y
