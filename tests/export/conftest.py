"""Networks small enough to compute exactly: those of the network's own tests."""

from tests.network.conftest import make

__all__ = ["make"]
