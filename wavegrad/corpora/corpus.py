"""What a corpus is: archives to fetch, and recordings to find in them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Archive:
    """One file to download."""

    url: str
    checksum: str | None
    """"sha256:..." or "md5:...", as published; None where the publisher gives none."""

    @property
    def filename(self) -> str:
        return self.url.rsplit("/", 1)[1]


@dataclass(frozen=True)
class Recording:
    """One audio file of a corpus."""

    path: Path
    name: str
    """Unique in the corpus; it becomes the name of the prepared file."""
    speaker: str
    split: Split | None = None
    """Where the corpus' publishers put it; None where they leave that open."""


@dataclass(frozen=True)
class Corpus:
    """A corpus with a public address, or none: a folder."""

    name: str
    parts: dict[str, Archive]
    """Archives by the name of the part; empty for a folder of one's own."""
    default_parts: tuple[str, ...]
    find: Callable[[Path], Iterable[Recording]]
    """The recordings below a folder into which the archives were unpacked."""
    source: str
    """Citation and licence."""
