"""Noise that is a function of seed, step and absolute sample position."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import ConfigError
from wavegrad.shapes import Waveform

BLOCK = 4096
"""Samples that are drawn together; any stretch of noise is cut out of whole blocks."""
Draws = Float[Tensor, "draws batch time"]
"""The noises of several steps."""


class Noise(ABC):
    """Standard normal noise for a batch, one seed for each item.

    The same (seed, step, sample) gives the same number whatever else is in the batch and however the signal is cut in
    time. `seeded_noise` says which of the two kinds a device gets.

    Args:
        seeds: one integer for each item, of any size and sign.
        device: where the noise is needed.
        dtype: its precision; the values are those of float32.

    Raises:
        ConfigError: no seed.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32):
        if not seeds:
            raise ConfigError("no seeds; pass one for each item of the batch")
        self.seeds = tuple(seeds)
        self.device = torch.device(device)
        self.dtype = dtype

    def __call__(self, step: int, n_samples: int, start: int = 0) -> Waveform:
        """Samples start ... start + n_samples - 1 of the noise of `step`: `batch time`.

        Raises:
            ConfigError: a negative step, length or start.
        """
        return self.draws((step,), n_samples, start)[0]

    def draws(self, steps: Sequence[int], n_samples: int, start: int = 0) -> Draws:
        """The noises of one step or more; errors as in a call."""
        if min(*steps, n_samples, start) < 0:
            raise ConfigError(f"noise of step {min(steps)}, {n_samples} samples from {start} on: none may be negative")
        return self._draws(steps, n_samples, start)

    @abstractmethod
    def _draws(self, steps: Sequence[int], n_samples: int, start: int) -> Draws:
        """The same, of numbers that were looked at."""


class SeededNoise(Noise):
    """The noise of a CPU: numpy's Philox (Salmon et al. 2011) and normal sampler, in float32.

    The numbers do not depend on the device, on which they are put after they were drawn. Between versions of numpy,
    whose normal sampler it is, they may differ.
    """

    def _draws(self, steps: Sequence[int], n_samples: int, start: int) -> Draws:
        first, last = start // BLOCK, -(-(start + n_samples) // BLOCK)
        blocks = range(first, max(last, first + 1))
        rows = [[np.concatenate([_block(seed, step, i) for i in blocks]) for seed in self.seeds] for step in steps]
        offset = start - first * BLOCK
        noise = torch.from_numpy(np.stack(rows)[:, :, offset : offset + n_samples])
        return noise.to(self.device, self.dtype)


def _block(seed: int, step: int, index: int) -> np.ndarray:
    key = np.random.SeedSequence((abs(seed), int(seed < 0), step, index)).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(BLOCK, dtype=np.float32)
