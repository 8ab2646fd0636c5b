"""Whether the voice is still the same."""

import functools
import warnings
from collections.abc import Callable

from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from wavegrad.errors import AudioError
from wavegrad.evaluation.metric import EVAL_LARGE, Metric
from wavegrad.evaluation.pair import aligned, resampled

RATE = 16000


def speaker_similarity(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
    """Cosine of the two speaker embeddings, up to 1 (GE2E, Wan et al. 2018; the `resemblyzer` package), at 16 kHz.

    The package raises quiet audio to -30 dBFS and leaves loud audio alone: the same voice at another level scores less.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or in which Resemblyzer finds no voice.
        ModuleNotFoundError: `resemblyzer` is not installed; pip install 'wavegrad-vocoder[eval-large]'.
    """
    first, second = (_embed(resampled(x, sample_rate, RATE)) for x in aligned(reference, generated, sample_rate))
    return float(first @ second)


def _embed(samples: Float32[ndarray, " n"]) -> Float32[ndarray, " 256"]:
    trim, embed = _encoder()
    voice = trim(samples.clip(-1, 1))
    if not len(voice):
        raise AudioError("speaker similarity: no voice is found")
    return embed(voice)


@functools.cache  # a network that is only read, loaded once a process
def _encoder() -> tuple[Callable[[ndarray], ndarray], Callable[[ndarray], ndarray]]:
    """What cuts silence out, and what makes a unit vector of the rest."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old names of scipy and setuptools, on import
        from resemblyzer import VoiceEncoder, preprocess_wav
    return preprocess_wav, VoiceEncoder("cpu", verbose=False).embed_utterance


SPEAKER_SIMILARITY = Metric(
    key="speaker_similarity",
    heading="speaker similarity",
    unit="",
    digits=3,
    better="higher",
    source="cosine of GE2E embeddings, Wan et al. 2018 (Resemblyzer)",
    sample_rate=RATE,
    compute=speaker_similarity,
    packages=("resemblyzer", "webrtcvad", "pkg_resources"),
    install=EVAL_LARGE,
)
