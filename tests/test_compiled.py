"""C sources as libraries: compiled once, kept where they may be, and what is said where they cannot be."""

import ctypes
import os
import stat
import tempfile
import warnings
from pathlib import Path

import pytest
import torch

from wavegrad import compiled
from wavegrad.compiled import KernelWarning, if_it_works, library

CODE = """
#ifdef NEGATIVE
int answer(void) { return -42; }
#else
int answer(void) { return 42; }
#endif
"""


def can_compile() -> bool:
    try:
        compiled._command(())
    except ImportError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not can_compile(), reason="no C compiler, or not Linux")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where nothing has been compiled yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "wavegrad"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "answer.c").write_text(CODE)
    return tmp_path / "answer.c"


def answer(made: ctypes.CDLL) -> int:
    return int(made.answer())


def kept(cache: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in cache.iterdir()}


def test_the_users_cache_is_not_that_of_the_tests() -> None:
    assert compiled._cache_folder().is_relative_to(tempfile.gettempdir())


@pytest.mark.parametrize("named", ["", "caches", None])
def test_the_cache_is_in_the_home_unless_an_absolute_path_is_named(
    named: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/home/user"))
    if named is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", named)
    assert compiled._cache_folder() == Path("/home/user/.cache/wavegrad")


@needs_compiler
def test_compiled_once(cache: Path, source: Path) -> None:
    """For each source, what is defined for it, and each processor: a home that several machines share must not hand one
    the other's instructions."""
    assert answer(library([source])) == 42
    once = kept(cache)
    assert answer(library([source])) == 42
    assert kept(cache) == once
    assert answer(library([source], "NEGATIVE")) == -42
    source.write_text(CODE.replace("42", "43"))
    assert answer(library([source])) == 43
    assert len(kept(cache)) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": "another"})
        assert answer(library([source])) == 43
    assert len(kept(cache)) == 4
    assert once.items() <= kept(cache).items()


@needs_compiler
def test_a_cache_that_is_a_file(cache: Path, source: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("in the way")
    assert answer(library([source])) == 42
    assert cache.read_text() == "in the way"


@needs_compiler
def test_a_user_without_a_home(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", home)
    assert answer(library([source])) == 42


@needs_compiler
def test_a_kept_file_that_is_damaged(cache: Path, source: Path) -> None:
    library([source])
    (path,) = kept(cache)
    path.unlink()  # it is mapped into this process, which writing would hurt
    path.write_bytes(b"\x7fELF")
    assert answer(library([source])) == 42


def test_without_a_compiler(cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(cache))
    with pytest.raises(ImportError, match="there is no C compiler"):
        library([source])
    assert not cache.exists()


@needs_compiler
@pytest.mark.parametrize("fault", ["fails", "lies", "is not there"])
def test_a_compiler_that_cannot(cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """An error says why, and nothing broken is kept."""
    compiler = source.with_name("broken")
    if fault != "is not there":
        compiler.write_text("#!/bin/sh\n" + ("echo no OpenMP here >&2; exit 1\n" if fault == "fails" else "exit 0\n"))
        compiler.chmod(compiler.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CC", str(compiler))
    said = "broken: no OpenMP here" if fault == "fails" else "No such file"
    with pytest.raises((RuntimeError, FileNotFoundError), match=said):
        library([source])
    assert not cache.exists() or not kept(cache)


@needs_compiler
def test_the_compiler_that_the_environment_names(cache: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", f"{os.environ.get('CC') or 'cc'} -DNEGATIVE")
    assert answer(library([source])) == -42


def test_what_works_is_used_and_what_is_not_there_is_not_missed() -> None:
    def missing() -> int:
        raise ImportError("there is no C compiler")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert if_it_works(lambda: 42) == 42
        assert if_it_works(missing) is None


def test_what_fails_is_said_in_one_line() -> None:
    def failing() -> int:
        raise RuntimeError("first line\nsecond line")

    with pytest.warns(KernelWarning, match="PyTorch's are instead: first line$"):
        assert if_it_works(failing) is None
