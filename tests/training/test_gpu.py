"""What training promises of a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gpu, pytest.mark.timeout(600)]


def run(*arguments: object) -> None:
    """`steps_on_gpu.py`."""
    command = [sys.executable, str(Path(__file__).parent / "steps_on_gpu.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=590, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")


@pytest.mark.parametrize("corpus_on_device", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("refinement", [True, False])
def test_the_host_never_waits_inside_a_step(compiled: bool, corpus_on_device: bool, refinement: bool) -> None:
    run("waits", compiled, corpus_on_device, refinement)


def test_all_options_on_learn_what_all_options_off_do() -> None:
    run("learns")
