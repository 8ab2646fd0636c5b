"""Signals in pieces: what flows between streaming operators.

A stream is one signal that comes piece by piece, without gaps, its time axis last. An operator takes what comes,
keeps what it still needs, and gives away every output as soon as all inputs of it are there. So its outputs, put
together, do not depend on how its input was cut.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor

O = TypeVar("O", bound="Operator")  # noqa: E741


@dataclass(frozen=True, eq=False)
class Piece:
    """Consecutive values of a signal, `batch ... time`; perhaps none."""

    start: int
    """Position of the first one in the whole signal."""
    values: Tensor
    """They are never changed in place: copies of a stream share them."""
    last: bool = False
    """Whether the signal ends with this piece."""

    @property
    def stop(self) -> int:
        """Position after the last one."""
        return self.start + self.values.shape[-1]

    def map(self, function: Callable[[Tensor], Tensor]) -> "Piece":
        """The same piece of another signal, each value of which depends on this one's at the same position."""
        return replace(self, values=function(self.values))


class Operator:
    """Something with a memory that works on streams."""

    def fork(self: O) -> O:
        """A copy that goes on from here by itself. It shares weights and past values, neither of which changes."""
        other = object.__new__(type(self))
        parts = vars(other)
        for name, value in vars(self).items():
            if isinstance(value, Operator):
                value = value.fork()
            elif isinstance(value, list):
                value = [item.fork() if isinstance(item, Operator) else item for item in value]
            parts[name] = value
        return other


class Buffer(Operator):
    """The values of one stream that are still needed.

    Args:
        left: zeros in front of the signal.
        right: zeros after its end.
    """

    def __init__(self, left: int = 0, right: int = 0):
        self.left = left
        self.right = right
        self.stop = 0
        self.ended = False
        self._waiting: Tensor | None = None

    def append(self, piece: Piece) -> Tensor:
        """Everything that waits, the new piece included."""
        assert piece.start == self.stop, f"a piece from {piece.start} on after {self.stop}"
        assert not self.ended, "a piece after the last one"
        self.stop, self.ended = piece.stop, piece.last
        new = piece.values
        parts = [new] if new.shape[-1] else []
        if self._waiting is None and self.left:
            parts.insert(0, _zeros(new, self.left))
        elif self._waiting is not None and self._waiting.shape[-1]:
            parts.insert(0, self._waiting)
        if piece.last and self.right:
            parts.append(_zeros(new, self.right))
        self._waiting = _joined(parts or [new])
        return self._waiting

    def drop(self, n: int) -> None:
        """The first `n` of those that wait are done with."""
        assert self._waiting is not None
        self._waiting = self._waiting[..., n:].clone() if n else self._waiting  # a view would keep the memory of all


class Join(Operator):
    """Several streams of the same positions, some of them later than others, become one.

    Args:
        function: makes one tensor of as many as there are streams, position by position.
        n_streams: how many.
    """

    def __init__(self, function: Callable[..., Tensor], n_streams: int = 2):
        self.function = function
        self.start = 0
        self.buffers = [Buffer() for _ in range(n_streams)]

    def push(self, *pieces: Piece) -> Piece:
        """Positions at which every stream has arrived."""
        waiting = [buffer.append(piece) for buffer, piece in zip(self.buffers, pieces, strict=True)]
        n = min(values.shape[-1] for values in waiting)
        last = all(buffer.ended for buffer in self.buffers)
        assert not last or all(values.shape[-1] == n for values in waiting), "streams of different lengths"
        for buffer in self.buffers:
            buffer.drop(n)
        start, self.start = self.start, self.start + n
        return Piece(start, self.function(*(values[..., :n] for values in waiting)), last)


def _zeros(like: Tensor, n: int) -> Tensor:
    return like.new_zeros((*like.shape[:-1], n))


def _joined(parts: list[Tensor]) -> Tensor:
    """One after the other; the channels of one sample stay neighbours in memory where they are."""
    if len(parts) == 1:
        return parts[0]
    if parts[0].dim() == 3:
        return torch.cat([part.mT for part in parts], dim=1).mT
    return torch.cat(parts, dim=-1)
