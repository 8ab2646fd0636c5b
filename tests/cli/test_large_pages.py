"""Training takes memory in large pages, which must be asked for before PyTorch is loaded."""

import os
import subprocess
import sys

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="large pages are Linux's")

ALIGNED = """
import sys
from wavegrad.cli.main import main
assert "torch" not in sys.modules
sys.argv = ["wavegrad", *sys.argv[1:]]
try:
    main()
except SystemExit as stopped:
    assert stopped.code == 2, stopped.code
import torch
print(all(torch.empty(n).data_ptr() % 4096 == 0 for n in (2**20, 2**21 + 1000, 2**22 + 5000)))
"""
"""A command that ends at a file that is not there, and whether PyTorch's memory then begins at a page, which it does
only where it asks for large ones."""


@LINUX
@pytest.mark.parametrize(
    ("command", "environment", "large"),
    [
        (("train", "missing.toml", "--data", "missing", "--run-dir", "run"), {}, True),
        (("benchmark", "train", "missing.toml", "--threads", "1"), {}, True),
        (("train", "missing.toml", "--data", "missing", "--run-dir", "run"), {"THP_MEM_ALLOC_ENABLE": "0"}, False),
        (("vocode", "missing.wav", "--out", "out"), {}, False),
    ],
)
def test_large_pages_are_asked_for(tmp_path, command, environment, large):
    kept = {key: value for key, value in os.environ.items() if key != "THP_MEM_ALLOC_ENABLE"}
    run = subprocess.run(
        [sys.executable, "-c", ALIGNED, *command], env=kept | environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == str(large)
