"""What every test shares: one torch thread, repeatable examples, a cache that is not the user's, and no test that needs
a GPU where there is none."""

import multiprocessing
import os
import tempfile
from collections.abc import Iterator

import hypothesis
import pytest
import torch

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start: a second busy thread beside xdist slows both
torch.set_num_threads(1)
torch.backends.cudnn.allow_tf32 = False  # tests that a GPU computes the same mean float32, not its leading 11 bits
hypothesis.settings.register_profile("wavegrad", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("wavegrad")


@pytest.fixture
def workers_at_once(monkeypatch: pytest.MonkeyPatch) -> multiprocessing.context.ForkServerContext:
    """Worker processes that are sent what spawned ones are, forked from a process that has imported PyTorch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo"])
    monkeypatch.setattr("multiprocessing.get_context", lambda method: context)
    return context


@pytest.fixture(params=(1, 2), ids=("one thread", "two threads"))
def n_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """Of PyTorch, in turn."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def pytest_configure(config: pytest.Config) -> None:
    """Kernels that tests compile are kept for this run, by all its processes: workers of xdist inherit the folder."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="wavegrad-tests-")
        os.environ["XDG_CACHE_HOME"] = folder.name
        config.add_cleanup(folder.cleanup)


@pytest.fixture(autouse=True)
def no_gpu_but_for_those_that_need_one(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with a GPU "auto" would take it: what a test expects of a CPU, and of the commands it starts, is
    another sequence of noise there, other roundings, and no int8."""
    if request.node.get_closest_marker("gpu") is None:
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
