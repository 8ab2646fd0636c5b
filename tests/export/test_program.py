"""The torch.export program against the network."""

from pathlib import Path

import pytest
import torch

from tests.inference.conftest import Make, inputs
from wavegrad.export.program import SHORTEST, network_program


@pytest.mark.filterwarnings("ignore:The given buffer is not writable", "ignore:.*treespec.*:FutureWarning")
def test_the_program_is_the_network(make: Make, tmp_path: Path) -> None:
    short = {"factors": (3, 2), "ublock_channels": (10, 8), "dblock_channels": (6,)}
    network = make(**short, ublock_dilations=((1, 2, 4, 8), (1, 2, 1, 2))).float().eval().requires_grad_(False)
    torch.export.save(network_program(network), tmp_path / "network.pt2")
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    for n_items, n_frames in ((1, SHORTEST), (3, 4), (2, 29)):
        y, mel, level = inputs(network, n_items, n_frames)
        torch.testing.assert_close(loaded(y, mel, level), network(y, mel, level), rtol=0, atol=1e-6)
