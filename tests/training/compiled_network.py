"""A script: what torch.compile takes in of the network as it is trained is one graph, and computes the same."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from wavegrad.network import WaveGrad, network_preset
from wavegrad.training.fused_film import run_fused


def gradients(network: WaveGrad, run: torch.nn.Module, narrow: bool) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    y, mel = (torch.randn(2, *shape, generator=generator) for shape in ((600,), (128, 2)))
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=narrow):
        predicted = run(y, mel, torch.tensor([0.3, 0.9]))
    predicted.float().square().mean().backward()
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


def main() -> None:
    torch.manual_seed(0)
    network = WaveGrad(network_preset("tiny"))
    run_fused(network)
    compiled = torch.compile(network, backend="eager", fullgraph=True)  # raises where the graph breaks
    for narrow, allowed in ((True, 0.2), (False, 1e-5)):  # in bfloat16 the graph rounds more often than the kernel in C
        pairs = zip(gradients(network, compiled, narrow), gradients(network, network, narrow), strict=True)
        assert all((a - b).norm() <= allowed * b.norm() for a, b in pairs), narrow
    print("one graph")


if __name__ == "__main__":
    main()
