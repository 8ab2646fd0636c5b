"""Word error rate: what a recogniser no longer understands."""

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from wavegrad.errors import AudioError, ConfigError
from wavegrad.evaluation.metric import EVAL_LARGE, Metric
from wavegrad.evaluation.pair import aligned, resampled

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

RATE = 16000
VARIABLE = "WAVEGRAD_WHISPER"
"""The environment variable that names the model's directory."""
MODEL_FILES = ("model.bin", "config.json", "tokenizer.json")
"""Without its tokenizer faster-whisper would look for one on the network."""

Transcribe = Callable[[Float32[ndarray, " n"], str | None], tuple[str, str]]
"""Samples at 16 kHz and their language, if known -> text and language."""


def word_error_rate(
    reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int, transcribe: Transcribe
) -> float:
    """Substituted, left out and added words over the words of the reference (Levenshtein distance of words; `jiwer`).

    What is said in the reference is what the same recogniser hears there, so that its own errors cancel where they are
    the same; 0 is "understood like the recording". Case and punctuation do not count.

    Raises:
        AudioError: a pair that no metric judges (see `aligned`), or a reference in which no word is heard.
        ModuleNotFoundError: `jiwer` is not installed; pip install 'wavegrad-vocoder[eval-large]'.
    """
    import jiwer

    first, second = (resampled(x, sample_rate, RATE) for x in aligned(reference, generated, sample_rate))
    said, language = transcribe(first, None)
    heard, _ = transcribe(second, language)
    if not words(said):
        raise AudioError("WER: no word is heard in the reference")
    return float(jiwer.wer(words(said), words(heard)))


def words(text: str) -> str:
    """Lower-case words with single spaces between them, apostrophes kept."""
    return " ".join(re.findall(r"\w+(?:'\w+)*", text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))


def wer_metric(directory: Path | None = None) -> Metric:
    """The metric for a faster-whisper model on disk; nothing is read before the first pair, and nothing is downloaded.

    Args:
        directory: holds MODEL_FILES; None is what the environment variable WAVEGRAD_WHISPER says then.
    """

    def compute(reference: Float[Tensor, " n"], generated: Float[Tensor, " m"], sample_rate: int) -> float:
        model = directory or Path(os.environ.get(VARIABLE, ""))
        return word_error_rate(reference, generated, sample_rate, whisper(model))

    return Metric(
        key="wer",
        heading="WER",
        unit="",
        digits=3,
        better="lower",
        source="words of Whisper (Radford et al. 2022), against its words for the reference",
        sample_rate=RATE,
        compute=compute,
        packages=("faster_whisper", "jiwer"),
        install=f"{EVAL_LARGE}, and set {VARIABLE} to the directory of a faster-whisper model",
        variables=() if directory else (VARIABLE,),
    )


def whisper(directory: Path) -> Transcribe:
    """A recogniser from a faster-whisper model directory: greedy, each clip for itself.

    Raises:
        ConfigError: files are missing in the directory, or cannot be loaded.
    """
    absent = [name for name in MODEL_FILES if not (directory / name).is_file()]
    if absent:
        raise ConfigError(
            f"{directory}: no {', '.join(absent)}; set {VARIABLE} to the directory of a faster-whisper model, "
            "such as an unpacked Systran/faster-whisper-base"
        )
    try:
        _load(directory)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"{directory}: no faster-whisper model: {error}") from error

    def transcribe(samples: Float32[ndarray, " n"], language: str | None) -> tuple[str, str]:
        return _heard(directory, samples.tobytes(), language)

    return transcribe


@functools.lru_cache(maxsize=4)  # a pure function: several systems are compared with one recording
def _heard(directory: Path, samples: bytes, language: str | None) -> tuple[str, str]:
    segments, info = _load(directory).transcribe(
        np.frombuffer(samples, np.float32),
        language=language,
        beam_size=1,
        temperature=0.0,
        condition_on_previous_text=False,
    )
    return " ".join(segment.text for segment in segments), info.language


@functools.cache  # a network that is only read, loaded once a process
def _load(directory: Path) -> "WhisperModel":
    from faster_whisper import WhisperModel

    return WhisperModel(str(directory), device="cpu", compute_type="float32", local_files_only=True)


WER = wer_metric()
