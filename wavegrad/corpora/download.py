"""Archives: fetched once, broken downloads taken up again, sums checked, unpacked whole or not at all."""

import hashlib
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

from wavegrad.corpora.corpus import Archive
from wavegrad.errors import CorpusError

BLOCK = 1 << 20
"""Bytes read at a time."""


def fetch(archive: Archive, folder: Path, say: Callable[[str], None]) -> Path:
    """Download an archive into `folder`; what is there and has the right sum is kept.

    What was received of a broken download stays in NAME.part, and the next call asks the server for the rest.

    Raises:
        CorpusError: the server cannot be reached or does not have the file, or the sum is wrong (the file is deleted
            then).
    """
    path = folder / archive.filename
    if path.exists():
        say(f"{path.name} is there")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _receive(archive.url, part, say)
    except (OSError, urllib.error.URLError) as error:
        raise CorpusError(
            f"{archive.url}: {error}; {_size(part)} bytes are kept in {part}, the same command goes on from there"
        ) from error
    _check_sum(part, archive)
    os.replace(part, path)
    return path


def _receive(url: str, part: Path, say: Callable[[str], None]) -> None:
    """Append to `part` what is missing of it."""
    begin = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={begin}-"} if begin else {})
    try:
        response = urllib.request.urlopen(request, timeout=60)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to send
            return
        raise
    with response:
        resumed = response.status == 206
        left = int(response.headers.get("Content-Length", 0))
        say(f"{'resuming' if resumed else 'downloading'} {url}, {left / 1e9:.2f} GB")
        with part.open("ab" if resumed else "wb") as file:
            shutil.copyfileobj(response, file, BLOCK)
        if left and _size(part) != left + (begin if resumed else 0):
            raise OSError("the connection ended early")


def _check_sum(path: Path, archive: Archive) -> None:
    if archive.checksum is None:
        return
    kind, expected = archive.checksum.split(":")
    digest = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != expected:
        path.unlink()
        raise CorpusError(
            f"{archive.url}: the {kind} sum is {digest.hexdigest()}, not {expected}; the file was deleted, download it "
            "again"
        )


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar or zip file into `folder`/<its name>, whole or not at all; done before: nothing is done.

    Nothing is written outside that folder, whatever the archive says.

    Raises:
        CorpusError: it is damaged, or names files outside.
    """
    target = folder / archive.name.split(".")[0]
    if target.is_dir():
        return target
    fresh = folder / f".{target.name}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped:
                zipped.extractall(fresh)
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(fresh, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        raise CorpusError(f"{archive} cannot be unpacked: {error}; delete it and download it again") from error
    os.replace(fresh, target)
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
