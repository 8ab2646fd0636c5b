"""WebDataset shards: which there are, who reads which, and what is in one."""

import contextlib
import hashlib
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from wavegrad.errors import TrainingError

END = 1 << 16
"""Bytes of a shard, at its beginning and at its end, that count for its fingerprint."""
SIZE_AND_SUM = re.compile(r" \d+ [0-9a-f]{16}$")
"""What follows the name in a `fingerprint`."""


def find_shards(data: Path) -> list[str]:
    """The tar files of a folder, sorted; a single one; or what a text file lists, a path or URL on each line.

    Raises:
        TrainingError: there is none, or the file is neither.
    """
    if data.is_file() and data.suffix == ".tar":
        return [str(data)]
    if data.is_file():
        try:
            lines = data.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise TrainingError(f"{data} is neither a *.tar nor a text that lists shards, one a line") from error
        shards = [line.strip() for line in lines if line.strip()]
    else:
        shards = sorted(str(path) for path in data.glob("*.tar"))
    if not shards:
        raise TrainingError(
            f"no shard (*.tar) in {data}; `wavegrad prepare CORPUS --shards N` writes them, and data.shards = false "
            "reads a folder of audio files"
        )
    return shards


def shares_of(
    shards: Sequence[str], seed: tuple[int, ...], epoch: int, reader: int, n_readers: int
) -> list[tuple[str, range]]:
    """What one of `n_readers` reads in an epoch, in order: of each shard the samples whose number modulo `n_readers` is
    in the range.

    Together they read each sample once, and all read as many shards: where whole ones do not come out even, at most the
    first and the last of a reader are shared with others. So the readers end an epoch together, to within some samples;
    who has more of them changes with the epoch.
    """
    order = np.random.default_rng((*seed, epoch)).permutation(len(shards))
    begin = (reader + epoch) % n_readers * len(shards)  # in parts, `n_readers` of which are a shard
    end = begin + len(shards)
    return [
        (shards[order[i]], range(max(0, begin - i * n_readers), min(n_readers, end - i * n_readers)))
        for i in range(begin // n_readers, -(-end // n_readers))
    ]


def fingerprint(shard: str) -> str:
    """Name, size and a sum of both ends of a shard, whatever folder it is in; of what is no file, the name alone.

    With the same ones, an epoch has the same order and the same clips. A change in the middle of a file that keeps its
    size is not noticed: to find it, a corpus of terabytes would have to be read.
    """
    path = Path(shard.removeprefix("file:"))
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            digest = hashlib.sha256(file.read(END))
            file.seek(max(0, size - END))
            digest.update(file.read(END))
    except OSError:
        return path.name
    return f"{path.name} {size} {digest.hexdigest()[:16]}"


def what_changed(before: Sequence[str] | str, now: Sequence[str]) -> str | None:
    """What is another between two lists of fingerprints, in words; None where nothing is."""
    if isinstance(before, str):
        return "the checkpoint does not say what was in them"
    names = [[SIZE_AND_SUM.sub("", each) for each in shards] for shards in (before, now)]
    if names[0] != names[1]:
        return "they are others than those of the checkpoint"
    changed = [name for name, a, b in zip(names[0], before, now, strict=True) if a != b]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"{', '.join(changed[:3])}{more} changed since the checkpoint" if changed else None


def samples_of(shard: str, complain: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The members of one tar file by sample; where it is damaged, those before the damage."""
    from webdataset.gopen import gopen
    from webdataset.tariterators import group_by_keys, tar_file_expander

    damages: list[str] = []

    def note(error: Exception) -> bool:
        damages.append(one_line(error.args[0] if error.args else type(error).__name__))
        return True

    try:
        with contextlib.closing(gopen(shard)) as opened:
            stream = _Watched(opened)
            files = tar_file_expander([{"url": shard, "stream": stream}], handler=note)
            yield from group_by_keys(files, handler=note)
        if stream.lacks_end():
            damages.append("it was cut off")
    except OSError as error:
        damages.append(one_line(error))
    if damages:
        complain(f"shard {shard} is damaged, what is left of it is skipped: {damages[0]}")


class _Watched:
    """A stream that knows whether it was a whole tar file: that ends with blocks of zeros, but one that was cut off
    between two members is read without a word."""

    def __init__(self, stream: IO[bytes]):
        self._stream = stream
        self._is_plain: bool | None = None
        self._last = b""

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        if self._is_plain is None:  # compressed ones have sums of their own
            self._is_plain = content[257:262] == b"ustar"
        self._last = (self._last + content)[-tarfile.BLOCKSIZE :]
        return content

    def lacks_end(self) -> bool:
        return bool(self._is_plain) and any(self._last)


def one_line(error: object) -> str:
    """What an error says, without line breaks."""
    return " ".join(str(error).split())
