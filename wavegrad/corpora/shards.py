"""Prepared clips as WebDataset shards: tar files that a training run reads from end to end."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

from wavegrad.corpora.prepare import Prepared
from wavegrad.errors import ConfigError


def write_shards(clips: Sequence[Prepared], prepared: Path, out: Path, n_shards: int) -> list[Path]:
    """Write OUT/00000.tar, OUT/00001.tar, ..., all of them or none; a second call writes the same bytes.

    A clip is two members, <number>.flac and <number>.json ({"path", "speaker", "seconds"}). The clips are dealt out in
    the order of a hash of their names, so that every shard is a mixture of speakers, about as large as the others.

    Args:
        clips: of one split.
        prepared: their paths are relative to it.
        out: folder for the shards.
        n_shards: how many; at least the number of processes times that of the loader's workers.

    Raises:
        ConfigError: more shards than clips.
    """
    if not 1 <= n_shards <= len(clips):
        raise ConfigError(f"{n_shards} shards of {len(clips)} clips cannot be written; each needs one clip or more")
    mixed = sorted(clips, key=lambda clip: hashlib.sha256(clip.path.encode()).digest())
    out.mkdir(parents=True, exist_ok=True)
    for unfinished in out.glob("*.tar.part"):  # of a call that was killed
        unfinished.unlink()
    paths = [out / f"{n:05d}.tar" for n in range(n_shards)]
    for n, path in enumerate(paths):
        with tarfile.open(_part(path), "w") as tar:
            for number, clip in list(enumerate(mixed))[n::n_shards]:
                facts = {"path": clip.path, "speaker": clip.speaker, "seconds": clip.seconds}
                _add(tar, f"{number:09d}.flac", (prepared / clip.path).read_bytes())
                _add(tar, f"{number:09d}.json", json.dumps(facts).encode())
    for old in set(out.glob("*.tar")) - set(paths):  # of a call for more shards
        old.unlink()
    for path in paths:
        os.replace(_part(path), path)
    return paths


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))
