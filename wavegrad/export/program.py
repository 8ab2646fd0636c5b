"""`torch.export` programs: for AOTInductor, ExecuTorch and whatever else reads them."""

import torch
from torch.export import Dim, ExportedProgram

from wavegrad.network import WaveGrad

SHORTEST = 3
"""Frames. Fewer would need a program of their own."""


def network_program(network: WaveGrad) -> ExportedProgram:
    """epsilon_theta(y, mel, noise_level) for any batch and any length from `SHORTEST` frames on; `torch.export.save`
    writes it."""
    config = network.config
    n_items, n_frames = 2, 2 * SHORTEST + 1  # any, but a 1 would be taken for a constant
    example = torch.zeros(1)
    y = example.new_zeros(n_items, n_frames * config.hop_length)
    mel = example.new_zeros(n_items, config.n_mels, n_frames)
    frames, batch = Dim("frames", min=SHORTEST, max=10**6), Dim("batch", min=1, max=2**16)
    shapes = {"y": {0: batch, 1: config.hop_length * frames}, "mel": {0: batch, 2: frames}, "noise_level": {0: batch}}
    return torch.export.export(network, (y, mel, example.expand(n_items)), dynamic_shapes=shapes)
