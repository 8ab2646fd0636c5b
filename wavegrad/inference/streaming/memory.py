"""What a layer remembers of its input.

Signals are `time batch channels`, so that any stretch of time is one matrix in memory. Each layer is late by a fixed
number of positions, its `lag`: a call that brings n frames gives n frames, those until `lag` positions before the last.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.pieces import Operator

Signal = Float[Tensor, "time batch channels"]
SignalOut = Float[Tensor, "time_out batch channels_out"]


class Workspace:
    """Memory that the layers of a stream take turns with: it stays in the processor's cache, and views of it are made
    once. Forks of a stream have the same, which nothing stays in from one layer to the next."""

    def __init__(self) -> None:
        self.memory: Tensor | None = None

    def of(self, size: int, like: Tensor) -> Tensor:
        """Room for so many numbers; what another layer left there is gone."""
        if self.memory is None or len(self.memory) < size:
            self.memory = like.new_empty(size)
        return self.memory[:size]


class Line(Operator):
    """Remembers the last `length` positions of a signal, zeros before it began."""

    def __init__(self, length: int):
        assert length >= 0, f"a memory of {length} positions"
        self.length = length
        self._past: Tensor | None = None

    def push(self, x: Tensor) -> Tensor:
        """What is new, and the `length` positions before it."""
        if not self.length:
            return x
        both, new = self.room(x, x.shape[-1])
        new.copy_(x)
        self.keep(both)
        return both

    def room(self, like: Tensor, n_channels: int) -> tuple[Tensor, Tensor]:
        """Memory for as many positions behind those that are remembered: all of it, and the part to be written."""
        both = like.new_empty((self.length + like.shape[0], *like.shape[1:-1], n_channels))
        self.recall(both[: self.length])
        return both, both[self.length :]

    def recall(self, target: Tensor) -> None:
        """Write what is remembered there."""
        if self._past is None:
            target.zero_()
        else:
            target.copy_(self._past)

    def keep(self, both: Tensor) -> None:
        """Remember the end of it."""
        self.remember(both[both.shape[0] - self.length :])

    def remember(self, past: Tensor) -> None:
        """All of it, which may change then."""
        self._past = past.clone()


class Delay(Operator):
    """A signal `length` positions later, zeros before it began. It goes through in the pieces that it came in, or parts
    of them, which must not be changed any more."""

    def __init__(self, length: int):
        assert length >= 0, f"a delay of {length} positions"
        self.length = length
        self._waiting: list[Tensor] | None = None

    def push(self, pieces: list[Tensor]) -> list[Tensor]:
        """As many positions as came."""
        if not self.length:
            return pieces
        if self._waiting is None:
            self._waiting = [pieces[0].new_zeros(()).expand(self.length, *pieces[0].shape[1:])]
        n = sum(piece.shape[0] for piece in pieces)
        due, waiting = [], []
        for piece in (*self._waiting, *pieces):
            length = piece.shape[0]
            if length <= n:
                due.append(piece)
            elif n:
                rest = piece[n:]
                due.append(piece[:n])
                waiting.append(rest.clone() if 4 * rest.shape[0] < length else rest)  # a view keeps the memory of all
            else:
                waiting.append(piece)
            n -= min(n, length)
        self._waiting = waiting
        return due

    def joined(self, x: Tensor) -> Tensor:
        """`push` of one piece, put together."""
        pieces = self.push([x])
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)
