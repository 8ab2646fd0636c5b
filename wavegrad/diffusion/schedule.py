"""Noise schedules: frozen float64 values."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float64
from torch import Tensor

from wavegrad import atomic, config
from wavegrad.errors import ConfigError

FORMAT_VERSION = 1
FAR_FROM_NOISE = 0.3
"""sqrt(alpha_bar_N) above this earns a warning: the network takes more than 9 % of the start's power for signal."""

MOST_STEPS = 100_000
"""A hundred times what the literature takes; more is a slip of the keyboard, and would only take minutes to make."""


class ScheduleWarning(UserWarning):
    """A schedule that is used where it does not fit."""


@dataclass(frozen=True)
class NoiseSchedule:
    """beta_1 ... beta_N of a diffusion process, from the cleanest step to the noisiest.

    Args:
        betas: any sequence of numbers inside (0, 1); kept as a tuple.
        name: for people and messages.
        provenance: where it comes from.

    Raises:
        ConfigError: no beta, or one that is not inside (0, 1).
    """

    betas: tuple[float, ...]
    name: str = "custom"
    provenance: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(float(beta) for beta in self.betas))
        if not self.betas:
            raise ConfigError("a noise schedule needs at least one beta")
        for n, beta in enumerate(self.betas, start=1):
            if not 0 < beta < 1:
                raise ConfigError(
                    f"beta_{n} of schedule {self.name!r} is {beta}; it must lie between 0 and 1, both excluded"
                )

    @property
    def n_steps(self) -> int:
        """N."""
        return len(self.betas)

    @property
    def betas_tensor(self) -> Float64[Tensor, " n_steps"]:
        """beta_n at index n - 1."""
        return torch.tensor(self.betas, dtype=torch.float64)

    @property
    def alphas(self) -> Float64[Tensor, " n_steps"]:
        """alpha_n = 1 - beta_n."""
        return 1 - self.betas_tensor

    @property
    def alpha_bars(self) -> Float64[Tensor, " n_steps"]:
        """alpha_bar_n = product of alpha_s up to n."""
        return self.alphas.cumprod(0)

    @property
    def noise_levels(self) -> Float64[Tensor, " n_levels"]:
        """l_0 = 1, l_s = sqrt(alpha_bar_s): n_steps + 1 values (WaveGrad, sec. 3.1)."""
        return torch.cat((torch.ones(1, dtype=torch.float64), self.alpha_bars.sqrt()))

    @property
    def terminal_level(self) -> float:
        """sqrt(alpha_bar_N): the share of signal that the network is told of where sampling starts from pure noise."""
        return math.prod(1 - beta for beta in self.betas) ** 0.5

    @classmethod
    def linear(cls, beta_1: float, beta_n: float, n_steps: int) -> "NoiseSchedule":
        """Betas evenly spaced from beta_1 to beta_n; one step takes beta_1 (DDPM, Ho et al. 2020, sec. 4)."""
        _check_steps(n_steps)
        betas = torch.linspace(beta_1, beta_n, n_steps, dtype=torch.float64)
        return cls(tuple(betas.tolist()), f"linear({beta_1:g}, {beta_n:g}, {n_steps})")

    @classmethod
    def geometric(cls, beta_1: float, beta_n: float, n_steps: int) -> "NoiseSchedule":
        """Betas with a constant ratio from beta_1 to beta_n; one step takes beta_1."""
        _check_steps(n_steps)
        for name, beta in (("beta_1", beta_1), ("beta_n", beta_n)):
            if not 0 < beta < 1:
                raise ConfigError(f"{name} is {beta}; it must lie between 0 and 1, both excluded")
        exponents = torch.linspace(math.log(beta_1), math.log(beta_n), n_steps, dtype=torch.float64)
        return cls(tuple(exponents.exp().tolist()), f"geometric({beta_1:g}, {beta_n:g}, {n_steps})")

    @classmethod
    def fibonacci(cls, n_steps: int, beta_1: float = 1e-6, beta_2: float = 2e-6) -> "NoiseSchedule":
        """Each beta is the sum of the two before it (WaveGrad, sec. 4.2)."""
        _check_steps(n_steps)
        betas = [beta_1, beta_2]
        while len(betas) < n_steps:
            betas.append(betas[-1] + betas[-2])
        return cls(tuple(betas[:n_steps]), f"fibonacci({n_steps}, {beta_1:g}, {beta_2:g})")

    @classmethod
    def cosine(cls, n_steps: int, offset: float = 0.008, largest_beta: float = 0.999) -> "NoiseSchedule":
        """alpha_bar = cos^2((n / N + offset) / (1 + offset) pi / 2), normalised (Nichol and Dhariwal 2021, eq. 17).

        Args:
            n_steps: N.
            offset: s of the paper; it keeps beta_1 from vanishing.
            largest_beta: betas are cut there: the last one would be 1.
        """
        _check_steps(n_steps)
        t = torch.arange(n_steps + 1, dtype=torch.float64) / n_steps
        curve = torch.cos((t + offset) / (1 + offset) * math.pi / 2).square()
        betas = (1 - curve[1:] / curve[:-1]).clamp(max=largest_beta)
        return cls(tuple(betas.tolist()), f"cosine({n_steps}, {offset:g}, {largest_beta:g})")

    @classmethod
    def log_snr(cls, n_steps: int, first_db: float = 40.0, last_db: float = -22.0) -> "NoiseSchedule":
        """Levels evenly spaced in log-SNR, for data of unit variance; one step takes last_db.

        Args:
            n_steps: N.
            first_db: 10 log10(alpha_bar / (1 - alpha_bar)) of level 1, dB: the noise before the last step.
            last_db: that of level N, dB; -22 is sqrt(alpha_bar_N) = 0.08, as in WaveGrad's training schedule.
        """
        _check_steps(n_steps)
        db = torch.linspace(first_db, last_db, n_steps, dtype=torch.float64)
        db = db if n_steps > 1 else torch.tensor([last_db], dtype=torch.float64)
        levels = torch.sigmoid(db * (math.log(10) / 10)).sqrt()
        return cls.from_noise_levels(levels.tolist(), f"log_snr({n_steps}, {first_db:g}, {last_db:g})")

    @classmethod
    def from_noise_levels(cls, levels: Sequence[float], name: str = "custom", provenance: str = "") -> "NoiseSchedule":
        """From l_1 > l_2 > ... > l_N, each in (0, 1); l_0 = 1 is not among them.

        Raises:
            ConfigError: levels that do not fall, or leave (0, 1).
        """
        previous = 1.0
        for n, level in enumerate(levels, start=1):
            if not 0 < level < previous:
                raise ConfigError(
                    f"noise level l_{n} is {level}; it must lie between 0 and l_{n - 1} = {previous}, both excluded"
                )
            previous = level
        pairs = zip((1.0, *levels), levels, strict=False)
        return cls(tuple(1 - (inner / outer) ** 2 for outer, inner in pairs), name, provenance)

    def sub_schedule(self, steps: Sequence[int]) -> "NoiseSchedule":
        """Only the noise levels of the given steps, 1 ... N, rising (Nichol and Dhariwal 2021, sec. 4).

        Raises:
            ConfigError: steps that do not rise, or that this schedule does not have.
        """
        if list(steps) != sorted(set(steps)) or not steps or steps[0] < 1 or steps[-1] > self.n_steps:
            raise ConfigError(f"steps {list(steps)} must rise and lie between 1 and {self.n_steps}")
        levels = self.noise_levels.tolist()
        part = self.from_noise_levels([levels[s] for s in steps])
        return replace(part, name=f"{self.name}[{len(steps)}]", provenance=f"steps {list(steps)} of {self.name}")

    def strided(self, n_steps: int) -> "NoiseSchedule":
        """`n_steps` of this schedule's levels, evenly spaced, the last one kept (Nichol and Dhariwal 2021, sec. 4)."""
        if not 1 <= n_steps <= self.n_steps:
            raise ConfigError(f"{n_steps} steps of a schedule of {self.n_steps}; 1 to {self.n_steps} are possible")
        part = self.sub_schedule([round((i + 1) * self.n_steps / n_steps) for i in range(n_steps)])
        return replace(part, provenance=f"{n_steps} levels of {self.name}, evenly spaced")

    def to_dict(self) -> dict[str, Any]:
        """JSON form. The noise levels are there for the reader: they follow from the betas."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "provenance": self.provenance,
            "betas": list(self.betas),
            "noise_levels": self.noise_levels.tolist()[1:],
        }

    @classmethod
    def from_dict(cls, data: object, where: str = "schedule") -> "NoiseSchedule":
        """Undo `to_dict`. Either of "betas" and "noise_levels" is enough; both must agree. "search", how a schedule was
        found, is for the reader.

        Raises:
            ConfigError: a newer format, unknown, missing or malformed keys, or nonsense, with `where` in front.
        """
        version = data.get("format_version") if isinstance(data, Mapping) else None
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise ConfigError(f"{where}: format {version} is newer than {FORMAT_VERSION}; upgrade the package")
        if isinstance(data, Mapping):
            data = {key: value for key, value in data.items() if key != "search"}
        return config.from_dict(_Table, data, where).schedule(where)

    def save(self, path: str | Path) -> None:
        """Write the JSON form, whole or not at all."""
        atomic.write_text(Path(path), json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "NoiseSchedule":
        """Read the JSON form. ConfigError, with the path, where that is not possible."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{path}: no JSON: {error}") from error
        return cls.from_dict(data, str(path))


@dataclass(frozen=True)
class _Table:
    """What a JSON file may hold."""

    format_version: int = FORMAT_VERSION
    name: str = "custom"
    provenance: str = ""
    betas: tuple[float, ...] | None = None
    noise_levels: tuple[float, ...] | None = None

    def schedule(self, where: str) -> NoiseSchedule:
        try:
            if self.betas is None:
                return NoiseSchedule.from_noise_levels(self.noise_levels or (), self.name, self.provenance)
            schedule = NoiseSchedule(self.betas, self.name, self.provenance)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        if self.noise_levels is not None:
            levels = torch.tensor(self.noise_levels, dtype=torch.float64)
            expected = schedule.noise_levels[1:]
            if levels.shape != expected.shape or not torch.allclose(levels, expected, rtol=1e-6, atol=0):
                raise ConfigError(f"{where}: noise_levels and betas contradict each other; leave one of them out")
        return schedule


def warn_of_terminal_level(schedule: NoiseSchedule) -> None:
    """Warn, in the name of the caller's caller, of a start that is not what the network is told it is."""
    level = schedule.terminal_level
    if level > FAR_FROM_NOISE:
        warnings.warn(
            f"schedule {schedule.name!r} ends at sqrt(alpha_bar) = {level:.3f}: sampling starts from pure noise, but "
            f"the network is told that {level:.0%} of the amplitude is signal; end the schedule closer to 0, or expect "
            "a wrong loudness and noise",
            ScheduleWarning,
            stacklevel=3,
        )


def _check_steps(n_steps: int) -> None:
    if not 1 <= n_steps <= MOST_STEPS:
        raise ConfigError(f"n_steps is {n_steps}; it must lie between 1 and {MOST_STEPS}")
