"""Imports go one way: every file of the package is read, and each import is looked up in one table."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EVERYTHING = "everything"
BASICS = {"errors", "shapes", "config", "atomic", "pieces", "suffixes", "compiled"}
PARTS = {"audio", "network", "diffusion"}
VOCODER = {"binding", "checkpoint", "inference", "device", *PARTS, *BASICS}

LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "shapes": set(),
    "atomic": set(),
    "config": {"errors", "atomic"},
    "device": {"errors"},
    "audio": BASICS,
    "network": BASICS,
    "diffusion": BASICS,
    "export": {"vocoder", *VOCODER},
    "inference": {"network", "diffusion", "device", *BASICS},
    "checkpoint": PARTS | BASICS,
    "pieces": set(),
    "compiled": set(),
    "suffixes": set(),
    "streaming": {"audio", "device", "diffusion", "inference", "network", *BASICS},
    "binding": {"device", "inference", "network", "diffusion", *BASICS},
    "vocoder": {"streaming", *VOCODER},
    "clip_likelihood": {"vocoder", *VOCODER},
    "evaluation": {"audio", *BASICS},
    "corpora": {"audio", *BASICS},
    "peers": {"errors"},
    "training": {"vocoder", "evaluation", *VOCODER},
    "search": {"vocoder", "evaluation", *VOCODER},
    "cli": {EVERYTHING},
    "__init__": {EVERYTHING},
    "__main__": {"cli"},
}
"""What the modules and folders of the package may import of it."""

CLI_OUTSIDE_FUNCTIONS = {"errors", "config", "atomic", "suffixes"}
"""What a command may import before it runs; everything else waits, so that `--help` is fast."""

EXTRAS: dict[str, set[str]] = {
    "evaluation": {"eval", "eval-large"},
    "training": {"train"},
    "checkpoint": {"hub"},
    "export": {"onnx"},
    "search": {"search", "ray"},
}
"""The extras of pyproject whose libraries a folder may import, besides the base dependencies."""

BY_PYTORCH = {("inference", "triton_kernels"): "triton"}
"""Modules that need a library that PyTorch's builds for CUDA bring along."""

IMPORTED_AS = {"visqol_python": "visqol"}
"""Where a library is not imported by the name it is installed by."""

HEAVY = {"numpy", "soundfile", "soxr", "safetensors", "torch"}
"""Base dependencies that no command may import outside its function."""


@dataclass(frozen=True)
class Import:
    """One imported module of one file."""

    line: int
    module: str
    inside_function: bool


def imports(source: str, package: str) -> Iterator[Import]:
    """All imports of a file of `package` (dotted), wherever they stand; `from a import b` counts as `a.b`."""

    def walk(node: ast.AST, inside: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            home = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (Import(node.lineno, f"{home}.{alias.name}", inside) for alias in node.names)
        inside = inside or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _for_types(node)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    return walk(ast.parse(source), False)


def _for_types(node: ast.AST) -> bool:
    """`if TYPE_CHECKING:`, which is never run."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def violations(package: Path, libraries: dict[str, set[str]]) -> list[str]:
    """One line for each import below `package` that the tables do not allow."""
    faults = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        layer = parts[0]
        if layer not in LAYERS:
            faults.append(f"{path.relative_to(package.parent)}: {layer} has no row in LAYERS")
            continue
        for found in imports(path.read_text(encoding="utf-8"), ".".join((package.name, *parts[:-1]))):
            if found.module.split(".")[0] == BY_PYTORCH.get(parts):
                continue
            reason = _own(found, layer, package) if _is_own(found, package) else _foreign(found, layer, libraries)
            if reason:
                faults.append(f"{path.relative_to(package.parent)}:{found.line}: imports {found.module}, {reason}")
    return faults


def _is_own(found: Import, package: Path) -> bool:
    return found.module.split(".")[0] == package.name


def _own(found: Import, layer: str, package: Path) -> str | None:
    target = (*found.module.split("."), "__init__")[1]
    if found.module == f"{package.name}.__version__":
        return None
    if target not in LAYERS:
        target = "__init__"  # a public name, by way of the package itself
    allowed = LAYERS[layer]
    if layer == "cli" and not found.inside_function:
        allowed = CLI_OUTSIDE_FUNCTIONS
    if target == layer or target in allowed or EVERYTHING in allowed:
        return None
    return f"but {layer} may import only {', '.join(sorted(allowed)) or 'nothing of ours'}"


def _foreign(found: Import, layer: str, libraries: dict[str, set[str]]) -> str | None:
    name = found.module.split(".")[0]
    if layer == "cli" and not found.inside_function and name in HEAVY:
        return "which is slow, outside a function"
    allowed = libraries["base"].union(*(libraries[extra] for extra in EXTRAS.get(layer, ())))
    if name not in allowed and name not in sys.stdlib_module_names:
        return f"which is no dependency of {layer}"
    return None


def declared_libraries() -> dict[str, set[str]]:
    """Import names of the base dependencies ("base") and of each extra, as pyproject.toml declares them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = {"base": project["dependencies"], **project["optional-dependencies"]}
    names = {
        group: [re.split(r"[\[<>=~! ]", requirement)[0].replace("-", "_") for requirement in requirements]
        for group, requirements in groups.items()
    }
    return {group: {IMPORTED_AS.get(name, name) for name in found} for group, found in names.items()}


def test_imports_go_one_way() -> None:
    assert violations(ROOT / "wavegrad", declared_libraries()) == []


def test_the_table_has_no_row_without_a_module() -> None:
    package = ROOT / "wavegrad"
    assert [
        layer for layer in LAYERS if not (package / layer).is_dir() and not (package / f"{layer}.py").exists()
    ] == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("shapes.py", "import wavegrad.errors"),
        ("config.py", "from wavegrad.shapes import Mel"),
        ("audio/mel.py", "from wavegrad.network.film import FiLM"),
        ("audio/mel.py", "from wavegrad import network"),
        ("audio/mel.py", "from wavegrad import Vocoder"),
        ("audio/mel.py", "import wavegrad"),
        ("audio/mel.py", "from ..diffusion import loss"),
        ("audio/deep/mel.py", "from ...diffusion import loss"),
        ("audio/mel.py", "def f():\n    from wavegrad import diffusion"),
        ("audio/mel.py", "if TYPE_CHECKING:\n    import wavegrad.vocoder"),
        ("audio/mel.py", "import librosa"),
        ("audio/mel.py", "import nowhere_declared"),
        ("inference/film.py", "import triton"),
        ("audio/mel.py", "def f():\n    import torchaudio.functional as F"),
        ("network/film.py", "class A:\n    async def f(self):\n        from wavegrad.diffusion.loss import noise_loss"),
        ("diffusion/loss.py", "from wavegrad.audio import mel_preset"),
        ("checkpoint/model.py", "import wavegrad.evaluation.log_mel"),
        ("vocoder.py", "from wavegrad.training import loop"),
        ("evaluation/pesq.py", "from wavegrad.vocoder import Vocoder"),
        ("evaluation/pesq.py", "import tensorboard"),
        ("training/loop.py", "from wavegrad.cli import main"),
        ("cli/main.py", "from wavegrad.vocoder import Vocoder"),
        ("cli/main.py", "import torch"),
        ("surprise.py", ""),
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, file: str, source: str) -> None:
    _plant(tmp_path, file, source)
    assert len(violations(tmp_path / "wavegrad", declared_libraries())) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("audio/mel.py", "from wavegrad.audio.io import read_audio\nfrom . import io\nfrom .io import read_audio"),
        ("audio/mel.py", "import math, torch\nfrom wavegrad.errors import AudioError\nfrom ..shapes import Mel"),
        ("checkpoint/model.py", "from wavegrad import __version__\nimport huggingface_hub"),
        ("evaluation/pesq.py", "import pesq, librosa\nfrom wavegrad.audio.mel import MelConfig"),
        ("training/loop.py", "from wavegrad.vocoder import Vocoder\nfrom wavegrad.evaluation import evaluate"),
        ("cli/vocode.py", "import typer\nfrom wavegrad.cli.options import Device\ndef f():\n    import torch"),
        ("cli/vocode.py", "def f():\n    from wavegrad.training.loop import train\n    from wavegrad import Vocoder"),
    ],
)
def test_what_the_table_allows_is_not_found(tmp_path: Path, file: str, source: str) -> None:
    _plant(tmp_path, file, source)
    assert violations(tmp_path / "wavegrad", declared_libraries()) == []


def _plant(root: Path, file: str, source: str) -> None:
    path = root / "wavegrad" / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
