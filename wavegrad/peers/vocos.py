"""Vocos in the size of its released mel model of 24 kHz: no refinement, one pass at the rate of frames."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version

RATE, HOP, BANDS = 24000, 256, 100


def build(seconds: float, steps: int) -> tuple[dict[str, object], Callable[[], object]]:
    """Facts, and a call that makes `seconds` of audio; see `serve`."""
    import torch

    backbone = import_module("vocos.models").VocosBackbone(BANDS, 512, 1536, 8).eval()
    head = import_module("vocos.heads").ISTFTHead(512, 1024, HOP).eval()
    n_frames = round(seconds * RATE / HOP)
    mel = torch.randn(1, BANDS, n_frames)
    facts = {
        "package": "vocos",
        "version": version("vocos"),
        "computes": "one pass",
        "parameters": sum(p.numel() for part in (backbone, head) for p in part.parameters()),
        "seconds": n_frames * HOP / RATE,
    }
    return facts, lambda: head(backbone(mel))
