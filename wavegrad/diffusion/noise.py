"""Noise that is a function of seed, step and absolute sample position."""

from collections.abc import Sequence

import numpy as np
import torch

from wavegrad.errors import ConfigError
from wavegrad.shapes import Waveform

BLOCK = 4096
"""Samples that are drawn together; any stretch of noise is cut out of whole blocks."""


class SeededNoise:
    """Standard normal noise for a batch, one seed for each item.

    The same (seed, step, sample) gives the same number whatever else is in the batch, however the signal is cut in time
    and on whatever device: it is drawn on the CPU in float32 (Philox, Salmon et al. 2011), then moved. Between versions
    of numpy, whose normal sampler it is, it may differ.

    Args:
        seeds: one integer for each item.
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
        if min(step, n_samples, start) < 0:
            raise ConfigError(f"noise of step {step}, {n_samples} samples from {start} on: none may be negative")
        first, last = start // BLOCK, -(-(start + n_samples) // BLOCK)
        rows = [
            np.concatenate([_block(seed, step, i) for i in range(first, max(last, first + 1))]) for seed in self.seeds
        ]
        offset = start - first * BLOCK
        noise = torch.from_numpy(np.stack(rows)[:, offset : offset + n_samples])
        return noise.to(self.device, self.dtype)


def _block(seed: int, step: int, index: int) -> np.ndarray:
    key = np.random.SeedSequence((abs(seed), int(seed < 0), step, index)).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).standard_normal(BLOCK, dtype=np.float32)
