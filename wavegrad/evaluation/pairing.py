"""Which file belongs to which: recordings and what the systems made of them, matched by name."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from wavegrad.audio.io import audio_info, check_is_file
from wavegrad.errors import AudioError, ConfigError
from wavegrad.evaluation.candidate import Folder
from wavegrad.suffixes import AUDIO, files_below


@dataclass(frozen=True)
class Clip:
    """A recording, and its counterparts in the folders."""

    name: str
    """Path below the reference folder, without suffix."""
    reference: Path
    generated: Mapping[str, Path]
    """By name of the system; where a folder has no such file, it is missing."""

    @property
    def files(self) -> list[Path]:
        return [self.reference, *self.generated.values()]


def find_clips(
    reference: Path, folders: Sequence[Folder], limit: int | None = None, without: Path | None = None
) -> tuple[list[Clip], list[str]]:
    """All recordings below `reference`, or `limit` of them, evenly spread; and a remark on files that match none.

    A file matches by its path below the folder, or else, where that is unique on both sides, by its name alone.

    Args:
        reference: folder of the recordings, searched at any depth.
        folders: the systems that are folders.
        limit: how many clips, at least 1.
        without: a folder; what lies in it does not count.

    Raises:
        ConfigError: a folder that is not there or has no audio in it, or two files of one name in it.
        AudioError: a file whose name is no UTF-8.
    """
    recordings = _by_name(reference, without)
    chosen = evenly(list(recordings), limit)
    found: dict[str, dict[str, Path]] = {name: {} for name in chosen}
    remarks = []
    for folder in folders:
        files = _by_name(folder.directory, without)
        matches = _match(recordings, files)
        for name in chosen:
            if name in matches:
                found[name][folder.system.name] = matches[name]
        n_left = len(files) - len(matches)
        if n_left:
            which = "1 file" if n_left == 1 else f"{n_left} files"
            remarks.append(
                f"{folder.system.name}: {which} in {folder.directory} match{'es' * (n_left == 1)} no recording"
            )
    return [Clip(name, recordings[name], found[name]) for name in chosen], remarks


def evenly(names: Sequence[str], n: int | None) -> list[str]:
    """`n` of the names, evenly spread over them; None, or more than there are: all."""
    if n is None or n >= len(names):
        return list(names)
    return [names[i * len(names) // n] for i in range(n)]


def common_rate(paths: Iterable[Path]) -> int | None:
    """The sample rate that most of the files have, Hz; None where no header can be read."""
    rates: Counter[int] = Counter()
    for path in paths:
        try:
            rates[audio_info(path).sample_rate] += 1
        except AudioError:  # it is reported when its turn comes
            continue
    return rates.most_common(1)[0][0] if rates else None


def _by_name(folder: Path, without: Path | None) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder")
    files: dict[str, Path] = {}
    for path in files_below(folder, AUDIO):
        if without is not None and without.resolve() in path.resolve().parents:
            continue
        check_is_file(path)  # a report cannot hold a name that is no UTF-8
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ConfigError(f"{files[name]} and {path} have one name; pairs are matched by it, so remove one")
        files[name] = path
    if not files:
        raise ConfigError(f"no audio found in {folder}; files with {' '.join(AUDIO)} are read")
    return files


def _match(recordings: Mapping[str, Path], files: Mapping[str, Path]) -> dict[str, Path]:
    """The file of each recording, where there is one."""
    matches = {name: files[name] for name in recordings if name in files}
    left = {name: path for name, path in files.items() if name not in matches}
    wanted = Counter(Path(name).name for name in recordings if name not in matches)
    offered = Counter(Path(name).name for name in left)
    by_stem = {Path(name).name: path for name, path in left.items()}
    for name in recordings:
        stem = Path(name).name
        if name not in matches and wanted[stem] == offered[stem] == 1:
            matches[name] = by_stem[stem]
    return matches
