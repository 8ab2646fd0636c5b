"""`prior.colour` as a stream: the whitened waveform in, the audible one out.

The lapped transform folds across the borders of frames, so an output sample waits for half a frame to a frame and a
half of what lies behind it.
"""

import torch
from torch import Tensor

from wavegrad.audio.lapped import dct_iv, rotation
from wavegrad.pieces import Buffer, Join, Operator, Piece


class StreamColour(Operator):
    """Multiply each coefficient of the lapped transform by its gain.

    Args:
        hop: samples per frame.
    """

    def __init__(self, hop: int):
        self.hop = hop
        self.fold, self.unfold = StreamFold(hop, sign=1.0), StreamFold(hop, sign=-1.0)
        self.frames = _StreamFrames(hop)
        self.gain = Join(torch.mul)
        self.matrix: Tensor | None = None

    def push(self, waveform: Piece, gains: Piece) -> Piece:
        """Coloured `batch time`, of whitened `batch time` and gains `batch hop frames`; either may be ahead."""
        folded = self.frames.push(self.fold.push(waveform))
        coloured = self.gain.push(folded.map(self._transform), gains).map(self._transform)
        return self.unfold.push(
            Piece(coloured.start * self.hop, coloured.values.transpose(1, 2).flatten(1), coloured.last)
        )

    def _transform(self, frames: Tensor) -> Tensor:
        if self.matrix is None:
            self.matrix = dct_iv(self.hop, frames)
        return self.matrix @ frames


class StreamFold(Operator):
    """`lapped`'s rotation across the borders between frames; the outer ends, of which one is not known yet, are none.

    Args:
        hop: samples per frame.
        sign: 1 to fold, -1 to unfold.
    """

    def __init__(self, hop: int, sign: float):
        self.hop = hop
        self.sign = sign
        self.buffer = Buffer()
        self.start = 0

    def push(self, piece: Piece) -> Piece:
        x = self.buffer.append(piece)
        start, self.start = self.start, piece.stop if piece.last else max(self.start, n_folded(piece.stop, self.hop))
        n = self.start - start
        self.buffer.drop(n)
        return Piece(start, self._rotated(x[:, :n], start), piece.last)

    def _rotated(self, x: Tensor, start: int) -> Tensor:
        """`x` begins at `start` and ends between two folds."""
        n_fold = self.hop // 2
        first_border = max(1, -(-(start + n_fold) // self.hop)) * self.hop
        first = first_border - n_fold - start
        n_borders = (x.shape[1] - first - 2 * n_fold) // self.hop + 1
        if n_borders < 1 or not n_fold:
            return x
        near, far = rotation(n_fold, self.sign, x)
        rotated = x.clone()
        folds = x[:, first:].unfold(1, 2 * n_fold, self.hop)  # batch borders 2*n_fold
        left, right = folds[..., :n_fold].flip(2), folds[..., n_fold:]
        turned = torch.cat(((near * left - far * right).flip(2), near * right + far * left), dim=2)
        positions = first + torch.arange(n_borders, device=x.device)[:, None] * self.hop
        positions = positions + torch.arange(2 * n_fold, device=x.device)
        rotated[:, positions.flatten()] = turned.flatten(1)
        return rotated


def n_folded(n_samples: int, hop: int) -> int:
    """How many samples `StreamFold` gives for the first `n_samples` of a longer signal: all before the first fold of
    which the farther end is missing."""
    border = (max(0, n_samples - hop // 2) // hop + 1) * hop
    return min(n_samples, border - hop // 2)


def n_coloured(n_samples: int, hop: int) -> int:
    """How many samples `StreamColour` gives for the first `n_samples` of a longer signal, and all their gains."""
    return n_folded(n_folded(n_samples, hop) // hop * hop, hop)


class _StreamFrames(Operator):
    """Whole frames: `batch time` -> `batch hop frames`."""

    def __init__(self, hop: int):
        self.hop = hop
        self.buffer = Buffer()

    def push(self, piece: Piece) -> Piece:
        x = self.buffer.append(piece)
        n = x.shape[1] // self.hop
        start = (piece.stop - x.shape[1]) // self.hop
        self.buffer.drop(n * self.hop)
        return Piece(start, x[:, : n * self.hop].unflatten(1, (n, self.hop)).transpose(1, 2), piece.last)
