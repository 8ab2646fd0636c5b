"""The package needs only the base install, and importing it is fast."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import wavegrad


def _python(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def test_every_module_that_is_not_behind_an_extra_needs_only_the_base_install() -> None:
    assert _python(str(Path(__file__).parent / "import_base.py")).endswith("the base install is enough\n")


def test_the_package_and_its_command_load_no_heavy_library() -> None:
    script = "import sys, wavegrad, wavegrad.cli.main; print({'torch', 'numpy', 'soundfile'} & sys.modules.keys())"
    assert _python("-c", script) == "set()\n"


EACH_FIRST = """
import importlib, os, sys, torch, typer

def first(name):
    if not (child := os.fork()):
        importlib.import_module(name)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

print([name for name in sys.argv[1:] if not first(name)])
"""


def test_each_module_and_folder_may_be_imported_first() -> None:
    """As a command does that needs no other; a circle of imports may hide where another comes before it."""
    package = Path(wavegrad.__file__).parent
    found = [path for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    names = sorted(f"wavegrad.{path.stem}" for path in found if not path.stem.startswith("__"))
    assert "wavegrad.vocoder" in names
    assert _python("-c", EACH_FIRST, *names) == "[]\n"


@pytest.mark.parametrize("name", wavegrad.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(wavegrad, name) is not None
    assert name in dir(wavegrad)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'wavegrad' has no attribute 'Vocodr'"):
        _ = wavegrad.Vocodr  # type: ignore[attr-defined]


def test_the_version_is_that_of_the_distribution() -> None:
    assert wavegrad.__version__ == version("wavegrad-vocoder")
