"""Crops drawn ahead, while the device is busy with the step before."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from wavegrad.training.data import Crops

Draw = Callable[[int, int, int], Crops]
"""(step, part, n_parts) -> crops."""


class Prefetch:
    """The same crops as `draw`, in whatever order they are asked for; those of the next steps are drawn by a thread.

    Args:
        draw: a pure function of (step, part, n_parts).
        ahead: steps.
        pin: into memory that the GPU reads by itself.
    """

    def __init__(self, draw: Draw, ahead: int, pin: bool):
        self._draw = draw
        self._ahead = ahead
        self._pin = pin
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")
        self._waiting: dict[tuple[int, int, int], Future[Crops]] = {}

    def __call__(self, step: int, part: int, n_parts: int) -> Crops:
        now = self._waiting.pop((step, part, n_parts), None)
        self._waiting = {key: future for key, future in self._waiting.items() if key[0] >= step}
        for later in range(step + 1, step + 1 + self._ahead):
            key = (later, part, n_parts)
            if key not in self._waiting:
                self._waiting[key] = self._thread.submit(self._crops, *key)
        return now.result() if now is not None else self._crops(step, part, n_parts)

    def _crops(self, step: int, part: int, n_parts: int) -> Crops:
        crops = self._draw(step, part, n_parts)
        if not self._pin:
            return crops
        mels = None if crops.mels is None else crops.mels.contiguous().pin_memory()
        return replace(
            crops,
            windows=crops.windows.pin_memory(),
            mask=crops.mask.pin_memory(),
            gains=crops.gains.pin_memory(),
            mels=mels,
        )
