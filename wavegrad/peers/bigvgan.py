"""BigVGAN in the size of its released model of 24 kHz and 100 bands: no refinement, one pass."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

RATE, HOP, BANDS = 24000, 256, 100
SIZE = {
    "resblock": "1",
    "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "upsample_initial_channel": 1536,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "activation": "snakebeta",
    "snake_logscale": True,
    "num_mels": BANDS,
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
}


def build(seconds: float, steps: int) -> tuple[dict[str, object], Callable[[], object]]:
    """Facts, and a call that makes `seconds` of audio; see `serve`."""
    import torch

    sys.path.append(str(Path(str(import_module("bigvgan").__file__)).parent))  # its modules import each other as theirs
    options = import_module("bigvgan.env").AttrDict(SIZE)
    network = import_module("bigvgan.bigvgan").BigVGAN(options).eval()
    network.remove_weight_norm()
    n_frames = round(seconds * RATE / HOP)
    mel = torch.randn(1, BANDS, n_frames)
    facts = {
        "package": "bigvgan",
        "version": version("bigvgan"),
        "computes": "one pass",
        "parameters": sum(p.numel() for p in network.parameters()),
        "seconds": n_frames * HOP / RATE,
    }
    return facts, lambda: network(mel)
