"""Archives: fetched once, broken downloads taken up again, sums checked, unpacked whole or not at all."""

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from wavegrad.corpora.corpus import Archive
from wavegrad.errors import CorpusError

BLOCK = 1 << 20
"""Bytes read at a time."""


def fetch_unpacked(archive: Archive, folder: Path, say: Callable[[str], None]) -> Path:
    """The folder into which an archive was unpacked below `folder`; fetched and unpacked only where there is none.

    Raises:
        CorpusError: as `fetch` and `unpack`.
    """
    target = unpacked(folder / archive.filename, folder)
    if target.is_dir():
        say(f"{target} is there")
        return target
    return unpack(fetch(archive, folder, say), folder)


def fetch(archive: Archive, folder: Path, say: Callable[[str], None]) -> Path:
    """Download an archive into `folder`; what is there and has the right sum is kept.

    What was received of a broken download stays in NAME.part, and the next call asks the server for the rest.

    Raises:
        CorpusError: the server cannot be reached or does not have the file, or the sum is wrong (what was downloaded is
            deleted then; what was there before is not).
    """
    path = folder / archive.filename
    if path.exists():
        wrong = _wrong_sum(path, archive)
        if wrong is not None:
            raise CorpusError(f"{path}: {wrong}; delete it, and it is downloaded again")
        say(f"{path} is there")
        return path
    part = path.with_name(path.name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _receive(archive.url, part, say)
    except (OSError, http.client.HTTPException) as error:
        kept = f"{_size(part)} bytes are kept in {part}, the same command goes on from there"
        raise CorpusError(f"{archive.url}: {error}; {kept if _size(part) else 'nothing was received'}") from error
    wrong = _wrong_sum(part, archive)
    if wrong is not None:
        part.unlink()
        raise CorpusError(f"{archive.url}: {wrong}; the file was deleted, download it again")
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
        begin = begin if resumed else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else begin + int(length)
        say(f"{'resuming' if resumed else 'downloading'} {url}")
        bar = tqdm(total=total, initial=begin, unit="B", unit_scale=True, dynamic_ncols=True)
        with part.open("ab" if resumed else "wb") as file, bar:
            while block := response.read(BLOCK):
                file.write(block)
                bar.update(len(block))
        if total is not None and _size(part) != total:
            raise OSError("the connection ended early")


def _wrong_sum(path: Path, archive: Archive) -> str | None:
    """What is wrong with the sum of a file; None where it is right, or none is published."""
    if archive.checksum is None:
        return None
    kind, expected = archive.checksum.split(":")
    digest = hashlib.new(kind)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return None if digest.hexdigest() == expected else f"the {kind} sum is {digest.hexdigest()}, not {expected}"


def unpacked(archive: Path, folder: Path) -> Path:
    """The folder that `unpack` makes of an archive."""
    return folder / archive.name.split(".")[0]


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar or zip file into `folder`/<its name>, whole or not at all; done before: nothing is done.

    Nothing is written outside that folder, whatever the archive says.

    Raises:
        CorpusError: it is damaged, or names files outside; or what is in it cannot be written.
    """
    target = unpacked(archive, folder)
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
                while tar.fileobj is not None and tar.fileobj.read(BLOCK):  # behind the members the sum is compared
                    pass
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        shutil.rmtree(fresh, ignore_errors=True)
        is_damaged = getattr(error, "errno", None) is None  # else the system says what it cannot do
        remedy = "delete it and download it again" if is_damaged else "then the same command goes on"
        raise CorpusError(f"{archive} cannot be unpacked: {' '.join(str(error).split())}; {remedy}") from error
    os.replace(fresh, target)
    return target


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
