"""A script: what torch.compile takes in of the network as it is trained is one graph, and computes the same."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from wavegrad.network import WaveGrad, network_preset
from wavegrad.training.fused_film import run_fused


def gradients(network: WaveGrad, run: torch.nn.Module) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y, mel = (torch.randn(2, *shape, generator=generator) for shape in ((600,), (128, 2)))
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        predicted = run(y, mel, torch.tensor([0.3, 0.9]))
    predicted.float().square().mean().backward()
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def main() -> None:
    network = WaveGrad(network_preset("tiny"))
    run_fused(network)
    compiled = torch.compile(network, backend="eager", fullgraph=True)  # raises where the graph breaks
    pairs = zip(gradients(network, compiled), gradients(network, network), strict=True)
    assert all((a - b).norm() <= 1e-2 * b.norm() for a, b in pairs)
    print("one graph")


if __name__ == "__main__":
    main()
