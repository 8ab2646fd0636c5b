"""A script: imports all modules of the installed package that need no extra, with the libraries of all extras hidden.

The gate runs it in an environment that has the base dependencies only, the tests in one that has everything.
"""

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import wavegrad

BEHIND_EXTRAS = {"wavegrad.inference.triton_kernels"}
"""Modules that cannot be imported without an extra, or without Triton, which PyTorch's builds for CUDA bring along."""


def modules() -> list[str]:
    """Dotted names of all modules of the package."""
    package = Path(wavegrad.__file__).parent
    paths = (path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py"))
    return sorted(".".join(path.parts).removesuffix(".__init__") for path in paths)


def hide_extras() -> None:
    """Make the libraries of all extras, and Triton, fail on import, as if they were not installed."""
    pyproject = Path(__file__).parents[1] / "pyproject.toml"
    extras = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    sys.modules["triton"] = None  # type: ignore[assignment] # Python's own sign for "not to be found"
    for requirement in (requirement for extra in extras.values() for requirement in extra):
        name = re.split(r"[\[<>=]", requirement)[0].replace("-", "_")
        sys.modules[name] = None  # type: ignore[assignment]


def main() -> None:
    """Import them all; the process ends with the first module that fails, or that is listed without need."""
    hide_extras()
    for name in modules():
        try:
            import_module(name)
        except ModuleNotFoundError:
            if name not in BEHIND_EXTRAS:
                raise
        else:
            assert name not in BEHIND_EXTRAS, f"{name} needs no extra"
    print(f"{len(modules())} modules, {len(BEHIND_EXTRAS)} of them behind an extra: the base install is enough")


if __name__ == "__main__":
    main()
