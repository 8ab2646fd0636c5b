"""Seeded noise that a GPU draws by itself, and which noise belongs to which device."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from wavegrad.diffusion.noise import Draws, Noise, SeededNoise
from wavegrad.diffusion.philox import MASK, Word, philox4x32

Normal = Float32[Tensor, "..."]


class CounterNoise(Noise):
    """The noise of a GPU: Philox4x32-10 (Salmon et al. 2011) and Box and Muller (1958), in tensor operations.

    The numbers are the same on every device, but not those of `SeededNoise`. They are computed in float64 and rounded
    to float32 at last: where logarithm and cosine differ between devices by their last bit, so does one number in some
    million. The counter of the generator holds the low and high words of sample // 4 and of the step; the four words
    that come out make the four samples of such a block. A draw does not make the processor wait for the device.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32):
        super().__init__(seeds, device, dtype)
        self._keys = torch.tensor([_key(seed) for seed in seeds], device=self.device)

    def _draws(self, steps: Sequence[int], n_samples: int, start: int) -> Draws:
        first, last = start // 4, -(-(start + n_samples) // 4)
        block = torch.arange(first, last, device=self.device)
        step = torch.stack([block.new_full((1, 1), n) for n in steps])
        key = self._keys[:, :1], self._keys[:, 1:]
        words = philox4x32((block & MASK, block >> 32, step & MASK, step >> 32), key)
        normal = torch.stack((*_normal(*words[:2]), *_normal(*words[2:])), dim=-1).flatten(-2)
        offset = start - 4 * first
        return normal[:, :, offset : offset + n_samples].to(self.dtype)


def seeded_noise(seeds: Sequence[int], device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Noise:
    """The noise that belongs to a device: `CounterNoise` on a GPU, else `SeededNoise`.

    So the same seed gives the same noise on every GPU, for every batch and cut, and likewise on every CPU; but not the
    same on both: drawn on a CPU core, the noise would hold up a fast GPU.
    """
    kind = CounterNoise if torch.device(device).type == "cuda" else SeededNoise
    return kind(seeds, device, dtype)


def _key(seed: int) -> list[int]:
    """The words of the key; the sign comes first, or -5 and 5 + 2^32 would be the same list of words."""
    return np.random.SeedSequence((int(seed < 0), abs(seed))).generate_state(2, np.uint32).tolist()


def _normal(radius: Word, angle: Word) -> tuple[Normal, Normal]:
    """Two independent normal numbers sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v) of two uniform ones (Box and Muller
    1958); u is never 0."""
    length = ((radius.double() + 0.5) / 2**32).log().mul(-2).sqrt()
    turn = angle.double() * (2 * math.pi / 2**32)
    return (length * turn.cos()).float(), (length * turn.sin()).float()
