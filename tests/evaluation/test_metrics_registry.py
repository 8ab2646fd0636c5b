"""The registry: complete, immutable, light."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from wavegrad.errors import ConfigError
from wavegrad.evaluation import METRICS, evaluate_clip, find_metrics
from wavegrad.evaluation.metric import Metric

ROOT = Path(__file__).parents[2]


def test_every_metric_is_in_the_registry_once():
    """One file each; a file with a Metric that nobody lists would never be computed."""
    defined = [path for path in (ROOT / "wavegrad" / "evaluation").glob("*.py") if " = Metric(\n" in path.read_text()]
    assert len(defined) == len(METRICS) - 1, "all but WER, whose factory is indented"
    assert [metric.key for metric in METRICS.values()] == list(METRICS)
    assert len({metric.heading for metric in METRICS.values()}) == len(METRICS)


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        METRICS["stoi"] = METRICS["estoi"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        METRICS["stoi"].digits = 1  # type: ignore[misc]


def test_metrics_are_found_in_the_order_asked_for():
    assert [metric.key for metric in find_metrics(["stoi", "mcd_db"])] == ["stoi", "mcd_db"]
    with pytest.raises(ConfigError, match=r"^unknown metric 'mcd_bd': did you mean 'mcd_db'"):
        find_metrics(["stoi", "mcd_bd"])


def test_no_package_of_a_metric_is_loaded_before_it_is_used():
    """`import wavegrad.evaluation` is part of training: no librosa, no onnxruntime, and no process state of theirs."""
    packages = sorted({name for metric in METRICS.values() for name in metric.packages})
    code = (
        "import sys; from wavegrad.evaluation import METRICS; [m.missing() for m in METRICS.values()];"
        f"print([name for name in {packages!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_the_hint_names_an_extra_that_brings_the_package(metric: Metric):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    if not metric.packages:
        assert metric.install == ""
        return
    (name,) = re.findall(r"^pip install 'wavegrad-vocoder\[([a-z-]+)\]'", metric.install)
    brought = " ".join(extras[name]).replace("-", "_")
    for package in metric.packages[:1]:
        assert package in brought


def test_a_clip_has_the_figures_that_are_asked_for(monkeypatch):
    x = 0.1 * torch.randn(12000, generator=torch.Generator().manual_seed(0))
    assert evaluate_clip(x, 2 * x, 24000, find_metrics(["lsd_db", "mcd_db"])) == {
        "lsd_db": METRICS["lsd_db"].compute(x, 2 * x, 24000),
        "mcd_db": METRICS["mcd_db"].compute(x, 2 * x, 24000),
    }
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^pesq_wb needs pesq; pip install 'wavegrad-vocoder\[eval\]'$"):
        evaluate_clip(x, x, 24000)
