"""What is written whole, or not at all: a reader never finds half of it, or nothing where something was."""

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from wavegrad import atomic

ROOT = Path(__file__).parents[1]


def fill(path: Path, text: str, fails: bool = False) -> None:
    """Make a folder `path` with two files; or only the first one, and an error."""
    with atomic.replacing_folder(path) as fresh:
        fresh.mkdir()
        (fresh / "a").write_text(text)
        if fails:
            raise ValueError("the second file")
        (fresh / "b").write_text(text)


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_file_comes_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write_text(path, "hé\n")
    assert path.read_bytes() == "hé\n".encode()


def test_a_file_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def write_half() -> None:
        with atomic.replacing(path) as temporary:
            temporary.write_text("half")
            assert path.read_text() == "old"
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_told_by_its_own_name(tmp_path: Path) -> None:
    """Where no file can be made, and where it cannot be moved."""
    for path in (tmp_path / "none" / "a.txt", tmp_path):
        with pytest.raises(OSError, match=r"No such file|Is a directory|busy|not permitted") as caught:
            atomic.write_text(path, "x")
        assert (caught.value.filename, caught.value.filename2) == (str(path), None)


def test_threads_may_write_the_same_file(tmp_path: Path) -> None:
    """It is of one of them then."""
    path = tmp_path / "a"
    contents = [letter * 100_000 for letter in "abcd"]

    def often(content: str) -> None:
        for _ in range(50):
            atomic.write_text(path, content)

    with ThreadPoolExecutor(len(contents)) as pool:
        for done in [pool.submit(often, content) for content in contents]:
            done.result()
    assert path.read_text() in contents
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("exchanged", [None, lambda *_: False], ids=["at once", "in two moves"])
def test_a_folder_comes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: Callable[..., bool] | None
) -> None:
    if exchanged is not None:
        monkeypatch.setattr(atomic, "_exchanged", exchanged)
    fill(tmp_path / "m", "one")
    assert texts(tmp_path) == {"m/a": "one", "m/b": "one"}
    fill(tmp_path / "m", "two")
    assert texts(tmp_path) == {"m/a": "two", "m/b": "two"}
    with pytest.raises(ValueError, match="the second file"):
        fill(tmp_path / "m", "three", fails=True)
    assert texts(tmp_path) == {"m/a": "two", "m/b": "two"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take two moves")
def test_a_folder_is_never_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for who looks, or is killed, in between: there is no in between."""
    fill(tmp_path / "m", "one")

    def move(self: Path, target: Path) -> Path:
        raise AssertionError(f"{self.name} was moved to {target.name}")

    monkeypatch.setattr(Path, "rename", move)
    fill(tmp_path / "m", "two")
    assert texts(tmp_path) == {"m/a": "two", "m/b": "two"}


KILLED = """
import os, signal, sys
from pathlib import Path
from wavegrad import atomic

folder = Path(sys.argv[1])
if sys.argv[2] == "between two moves":
    atomic._exchanged = lambda *_: False
    rename = Path.rename
    Path.rename = lambda self, to: rename(self, to) if to.suffix == ".old" else os.kill(os.getpid(), signal.SIGKILL)
with atomic.replacing(folder / "a.txt") as file, atomic.replacing_folder(folder / "m") as fresh:
    file.write_text("half")
    fresh.mkdir()
    (fresh / "a").write_text("new")
    if sys.argv[2] == "while it writes":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("when", ["while it writes", "between two moves"])
def test_what_killed_writers_left_is_cleared(tmp_path: Path, when: str) -> None:
    """And a folder that had been moved away for one that never came is back; what others hide stays."""
    fill(tmp_path / "m", "old")
    atomic.write_text(tmp_path / "a.txt", "old")
    others = [".lock", ".m.old", ".notes.tmp", f".m.{'5a' * 16}.newer"]
    for name in others:
        (tmp_path / name).write_text("not ours")
    expected = texts(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), when], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert texts(tmp_path) != expected
    assert (tmp_path / "m").exists() == (when == "while it writes")
    atomic.clear_unfinished(tmp_path)
    assert texts(tmp_path) == expected
    assert {path.name for path in tmp_path.iterdir()} == {"m", "a.txt", *others}
