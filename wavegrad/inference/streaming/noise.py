"""The noise of one step, in order."""

from torch import Tensor

from wavegrad.diffusion import Noise
from wavegrad.diffusion.noise import BLOCK
from wavegrad.pieces import Operator
from wavegrad.shapes import Waveform


class StreamNoise(Operator):
    """Draws whole blocks, and gives them out in small pieces: a few samples cost what a block costs."""

    def __init__(self, noise: Noise, step: int):
        self.noise = noise
        self.step = step
        self._start = 0
        self._drawn: Tensor | None = None

    def __call__(self, n_samples: int, start: int) -> Waveform:
        """Samples start ... start + n_samples - 1, from where the last call ended on, or farther on."""
        stop = start + n_samples
        if self._drawn is None or stop > self._start + self._drawn.shape[1]:
            self._start = start
            self._drawn = self.noise(self.step, -(-stop // BLOCK) * BLOCK - start, start)
        return self._drawn[:, start - self._start : stop - self._start]
