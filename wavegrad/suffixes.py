"""What is looked for in folders, by suffix; a file named outright may have any."""

from collections.abc import Iterator
from pathlib import Path

AUDIO = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
MELS = (".npy", ".pt")


def files_below(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Files with these suffixes at any depth, behind links to folders too, sorted by path."""
    return sorted(_walk(folder, suffixes, ()))


def _walk(folder: Path, suffixes: tuple[str, ...], above: tuple[Path, ...]) -> Iterator[Path]:
    here = folder.resolve()
    if here in above:  # a link back up
        return
    for path in folder.iterdir():
        if path.is_dir():
            yield from _walk(path, suffixes, (*above, here))
        elif path.suffix.lower() in suffixes and path.is_file():
            yield path
