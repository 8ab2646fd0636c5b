"""Pitch of a waveform over time, for the metrics that compare it."""

import functools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64
from numpy import ndarray
from torch import Tensor

from wavegrad.evaluation.pair import aligned, resampled

RATE = 16000
HOP_LENGTH = 160
FRAME_LENGTH = 1024
RANGE_HZ = (50.0, 550.0)
"""Where F0 is looked for (that of CARGAN)."""


@dataclass(frozen=True)
class Pitch:
    """One value every 10 ms."""

    f0_hz: Float64[ndarray, " frames"]
    """NaN where there is no voice."""
    periodicity: Float64[ndarray, " frames"]
    """Probability of voice, 0 to 1."""

    @property
    def voiced(self) -> Bool[ndarray, " frames"]:
        return np.isfinite(self.f0_hz)


def pitches(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> tuple[Pitch, Pitch]:
    """pYIN (Mauch and Dixon 2014; librosa) of both, at 16 kHz: 64 ms frames, 50 to 550 Hz in steps of 10 cents.

    Not WORLD's: pYIN gives the periodicity as well, and librosa is needed for Griffin-Lim anyway. The steps alone add
    up to 4 cents to an RMSE.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`).
        ModuleNotFoundError: librosa is not installed; pip install 'wavegrad-vocoder[eval]'.
    """
    reference, generated = aligned(reference, generated, sample_rate)
    first, second = (_pitch(resampled(x, sample_rate, RATE).tobytes()) for x in (reference, generated))
    return first, second


@functools.lru_cache(maxsize=4)  # a pure function: four metrics look at the same pair, and several systems at one clip
def _pitch(samples: bytes) -> Pitch:
    import librosa

    f0_hz, _, probability = librosa.pyin(
        np.frombuffer(samples, np.float32),
        fmin=RANGE_HZ[0],
        fmax=RANGE_HZ[1],
        sr=RATE,
        frame_length=FRAME_LENGTH,
        hop_length=HOP_LENGTH,
    )
    f0_hz.flags.writeable = probability.flags.writeable = False
    return Pitch(f0_hz, probability)
