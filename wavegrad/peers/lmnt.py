"""lmnt's WaveGrad (`wavegrad` on the package index): the paper's Base network, sampled by its own `predict`."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

RATE, HOP, BANDS = 24000, 300, 128
"""Its default is 22050 Hz; the network does not know, and with the paper's rate it makes as many samples as ours."""


def build(seconds: float, steps: int) -> tuple[dict[str, object], Callable[[], object]]:
    """Facts, and a call that makes `seconds` of audio; see `serve`."""
    from unittest.mock import patch

    import torch

    model, inference, params = (import_module(f"wavegrad.{name}") for name in ("model", "inference", "params"))
    with patch("torch.nn.init.orthogonal_", torch.nn.init.xavier_uniform_):  # minutes faster; the work is the same
        network = model.WaveGrad(params.AttrDict(params.params)).eval()
    inference.models["random"] = network
    n_frames = round(seconds * RATE / HOP)
    mel = torch.randn(BANDS, n_frames)
    options = {"noise_schedule": torch.logspace(-4, -0.5, steps).tolist()}
    facts = {
        "package": "wavegrad (lmnt)",
        "version": version("wavegrad"),
        "computes": f"{steps} steps",
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": n_frames * HOP / RATE,
    }
    return facts, lambda: inference.predict(mel, "random", options, torch.device("cpu"))
