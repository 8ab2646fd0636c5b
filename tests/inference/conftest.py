"""Networks small enough to compute exactly: those of the network's own tests."""

from tests.network.conftest import Make, inputs, make

__all__ = ["Make", "inputs", "make"]
