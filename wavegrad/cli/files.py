"""Which files a command reads and writes."""

import errno
import glob
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wavegrad.errors import AudioError, ConfigError
from wavegrad.suffixes import files_below


@dataclass(frozen=True)
class Job:
    """One file to read and the one to write."""

    source: Path
    target: Path


def plan(inputs: Iterable[str], out: Path, kinds: tuple[str, ...], suffix: str) -> list[Job]:
    """What `find` finds, with its outputs. Files that lie in an `out` inside an input folder are no inputs.

    Args:
        inputs: as on the command line.
        out: a folder, or a file name with `suffix` where there is a single input file.
        kinds: suffixes that count inside folders and globs.
        suffix: of the outputs inside a folder.

    Raises:
        ConfigError: an input that is not there or empty, outputs that would overwrite each other or an input, or that
            cannot be written because of a file in their way.
    """
    inputs = list(inputs)
    found = find(inputs, kinds, out)
    if len(inputs) == len(found) == 1 and Path(inputs[0]).is_file() and out.suffix and not out.is_dir():
        if out.suffix.lower() != suffix:
            raise ConfigError(f"{out} ends in {out.suffix!r}, but {suffix!r} is written; rename it, or name a folder")
        jobs = [Job(found[0][0], out)]
    else:
        jobs = [Job(source, out / relative.with_suffix(suffix)) for source, relative in found]
    _check_clashes(jobs)
    _check_folders(jobs)
    return jobs


def find(inputs: Iterable[str], kinds: tuple[str, ...], without: Path | None = None) -> list[tuple[Path, Path]]:
    """Files, folders (searched at any depth) and globs as (file, its path below the argument).

    Args:
        inputs: as on the command line.
        kinds: suffixes that count inside folders and globs.
        without: a folder; inside an input folder, what lies in it does not count.

    Raises:
        ConfigError: an input that is not there, or in which there is nothing.
    """
    found = []
    for text in inputs:
        files = _expand(text, kinds, without)
        if not files:
            raise ConfigError(f"no input found in {text}; files with {' '.join(kinds)} are read")
        found += files
    return found


def _expand(text: str, kinds: tuple[str, ...], without: Path | None) -> list[tuple[Path, Path]]:
    path = Path(text)
    if path.is_file():
        return [(path, Path(path.name))]
    if path.is_dir():
        files = files_below(path, kinds)
        if without is not None and path.resolve() in without.resolve().parents:
            files = [p for p in files if without.resolve() not in p.resolve().parents]
        return [(p, p.relative_to(path)) for p in files]
    if glob.has_magic(text):
        files = sorted(Path(p) for p in glob.glob(text, recursive=True))
        return [(p, Path(p.name)) for p in files if p.suffix.lower() in kinds and p.is_file()]
    raise ConfigError(f"{text}: no such file or folder")


def _check_clashes(jobs: list[Job]) -> None:
    sources = {job.source.resolve() for job in jobs}
    seen: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target in sources:
            raise ConfigError(f"{job.target} would overwrite an input; choose another --out")
        if target in seen:
            raise ConfigError(
                f"{seen[target]} and {job.source} would both become {job.target}; use separate --out folders"
            )
        seen[target] = job.source


def _check_folders(jobs: list[Job]) -> None:
    for folder in {job.target.parent for job in jobs}:
        nearest = next(p for p in (folder, *folder.parents) if p.exists())
        if not nearest.is_dir():
            raise ConfigError(f"{nearest} is a file, not a folder; choose another --out")
    for job in jobs:
        if job.target.is_dir():
            raise ConfigError(f"{job.target} is a folder, and would have to become a file; choose another --out")


def still_to_do(jobs: list[Job], overwrite: bool) -> list[Job]:
    """The jobs whose output is not there yet; all of them with `overwrite`. Says how many are skipped."""
    import typer

    left = jobs if overwrite else [job for job in jobs if not job.target.exists()]
    if len(left) < len(jobs):
        typer.echo(f"{len(jobs) - len(left)} of {len(jobs)} done before, skipped (--overwrite does them again)")
    return left


def make_folder(target: Path) -> None:
    """The folder of a file, with those above it; AudioError where it cannot be made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AudioError(f"{target}: cannot be written: {error.strerror}") from error


REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose another place, or change its permissions"),
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EFBIG), "choose another one"),
}
"""What to do, by number of the system's error, where it is about a place that the user chose."""


def is_full_disk(error: BaseException | None) -> bool:
    """Whether this, or what caused it, is that there is no room left: the next file would meet it too."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__
    return error is not None and error.errno in (errno.ENOSPC, errno.EDQUOT)


def not_all_done(failures: int) -> None:
    """End with exit code 2 where a file failed; each was reported when it did."""
    import typer

    if failures:
        typer.echo(f"{failures} failed; see above", err=True)
        raise typer.Exit(2)
