"""What a clip looks like: its log-mel spectrogram, what differs from the recording's, and its waveform."""

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from wavegrad.audio.mel import MelSpectrogram
from wavegrad.evaluation.log_mel import DB_PER_NEPER, mel_convention
from wavegrad.evaluation.report.png import data_uri, indexed, palette, png

RANGE_DB = 80.0
"""The spectrograms of a clip reach from the recording's loudest point to this far below; what is lower is black."""
DIFFERENCE_DB = 20.0
"""The differences reach from this much too quiet to this much too loud."""
MAX_COLUMNS = 800
"""Wider pictures are averaged to at most this many columns, which no screen of today shows side by side."""
ENVELOPE_COLUMNS = 240
"""Of a waveform."""
FULL_SCALE = 10_000
"""The envelope's integer for a sample of 1."""

LEVEL = palette(("000004", "1b0c41", "4a0c6b", "781c6d", "a52c60", "cf4446", "ed6925", "fb9b06", "f7d13d", "fcffa4"))
"""Dark to light with rising lightness, so that it is the same scale in print and to the colour-blind."""
DIFFERENCE = palette(("2166ac", "67a9cf", "f7f7f7", "ef8a62", "b2182b"))
"""Blue: too quiet; white: equal; red: too loud."""


def log_mel_db(waveform: Float[Tensor, " time"], sample_rate: int) -> Float[ndarray, "n_mels frames"]:
    """Level in dB of each band of `log_mel_distance`, so that the pictures show what that figure measures.

    Raises:
        AudioError: less than one frame of audio.
    """
    mel = MelSpectrogram(mel_convention(sample_rate))(waveform[None])[0]
    return mel.double().numpy() * DB_PER_NEPER


def spectrogram(level_db: Float[ndarray, "n_mels frames"], peak_db: float) -> str:
    """Data URI of the picture, low frequencies at the bottom; `peak_db` is the lightest colour."""
    return _uri(indexed(_narrowed(level_db), peak_db - RANGE_DB, peak_db), LEVEL)


def difference(
    reference_db: Float[ndarray, "n_mels frames_r"], generated_db: Float[ndarray, "n_mels frames_g"], peak_db: float
) -> str:
    """Data URI of generated minus reference.

    Both are lifted to the lower end of the spectrograms' scale first: nobody hears what differs below.
    """
    n = min(reference_db.shape[1], generated_db.shape[1])
    floor = peak_db - RANGE_DB
    delta = np.maximum(generated_db[:, :n], floor) - np.maximum(reference_db[:, :n], floor)
    return _uri(indexed(_narrowed(delta), -DIFFERENCE_DB, DIFFERENCE_DB), DIFFERENCE)


def envelope(waveform: Float[Tensor, " time"]) -> list[list[int]]:
    """Lowest and highest sample of each of up to ENVELOPE_COLUMNS equal parts, in FULL_SCALE-ths."""
    samples = waveform.numpy()
    parts = np.array_split(samples, min(ENVELOPE_COLUMNS, len(samples)))
    return [[round(float(part.min()) * FULL_SCALE), round(float(part.max()) * FULL_SCALE)] for part in parts]


def scale_bar(colours: UInt8[ndarray, "256 3"]) -> str:
    """Data URI of a palette, its low end on the left."""
    return data_uri(png(np.arange(256, dtype=np.uint8)[None], colours))


def _narrowed(values: Float[ndarray, "rows columns"]) -> Float[ndarray, "rows narrowed"]:
    columns = values.shape[1]
    if columns <= MAX_COLUMNS:
        return values
    starts = np.linspace(0, columns, MAX_COLUMNS, endpoint=False).astype(int)
    return np.add.reduceat(values, starts, axis=1) / np.diff(starts, append=columns)


def _uri(pixels: UInt8[ndarray, "rows columns"], colours: UInt8[ndarray, "256 3"]) -> str:
    return data_uri(png(pixels[::-1], colours))
