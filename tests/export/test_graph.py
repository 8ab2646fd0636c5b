"""The graph under construction, run."""

import torch

from tests.export.conftest import run, session
from wavegrad.export.graph import Graph


def test_a_loop_passes_its_state_on() -> None:
    """Fibonacci's numbers, times a value from outside."""
    for n in (1, 7):
        g = Graph()
        factor = g.op("Mul", "x", g.constant(2.0))

        def step(a: str, b: str, g: Graph = g) -> tuple[str, str]:
            return g.op("Mul", b, g.constant(1.0)), g.op("Add", a, b)

        first, _ = g.repeat(n, step, g.op("Mul", factor, g.constant(0.0)), factor)
        model = session(g.model({"x": ("n",)}, (first, "y", ("n",)), {}))
        for x in (torch.ones(1), torch.arange(3.0)):
            assert torch.equal(run(model, x=x), 2 * x * {1: 1, 7: 13}[n])


def test_a_loop_inside_a_loop() -> None:
    g = Graph()

    def doubled(a: str) -> tuple[str]:
        return (g.op("Add", a, a),)

    (y,) = g.repeat(3, lambda a: g.repeat(2, doubled, a), "x")
    x = torch.arange(3.0)
    assert torch.equal(run(session(g.model({"x": ("n",)}, (y, "y", ("n",)), {})), x=x), 64 * x)
