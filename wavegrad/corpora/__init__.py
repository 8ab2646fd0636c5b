"""Public speech corpora, and folders of one's own, made ready for training."""

from wavegrad.corpora.corpus import Archive, Corpus, Recording
from wavegrad.corpora.download import fetch, fetch_unpacked
from wavegrad.corpora.known import CORPORA
from wavegrad.corpora.prepare import PrepareConfig, Prepared, prepare

__all__ = [
    "CORPORA",
    "Archive",
    "Corpus",
    "PrepareConfig",
    "Prepared",
    "Recording",
    "fetch",
    "fetch_unpacked",
    "prepare",
]
