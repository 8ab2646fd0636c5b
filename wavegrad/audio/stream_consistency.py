"""`MelConsistency` as a stream: the iterations stand one behind the other along time, and nothing is computed twice.

A small piece passes all of them, one after the other, so each takes as few operations as it can.
"""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from wavegrad.audio.consistency import TINY, Frames, MelConsistency, edges
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.native_consistency import Bands, Spectra
from wavegrad.audio.stream_mel import StreamPad
from wavegrad.pieces import Buffer, Operator, Piece


class StreamConsistency(Operator):
    """Waveform and mel in; out, as far as it is final, the waveform that `MelConsistency` makes of the whole."""

    def __init__(self, consistency: MelConsistency):
        self.consistency = consistency
        self.bands = StreamBands(consistency)
        self.iterations = [StreamIteration(consistency) for _ in range(consistency.n_iter)]

    def push(self, waveform: Piece, mel: Piece) -> Piece:
        """`batch time` and `batch n_mels frames`, which must be ahead -> `batch time`."""
        if not self.iterations:
            return waveform
        self.bands.push(mel)
        previous: Spectra | None = None
        for iteration in self.iterations:
            waveform, previous = iteration.push(waveform, previous, self.bands)
        self.bands.drop_before(self.iterations[-1].n_frames)
        return waveform


class StreamBands(Operator):
    """What the filterbank may give, in the frames that some iteration still has before it."""

    def __init__(self, consistency: MelConsistency):
        self.consistency = consistency
        self.start = 0
        self._waiting: Float[Tensor, "2 batch frames n_mels"] | None = None

    def push(self, mel: Piece) -> None:
        bounds = torch.stack(self.consistency.bounds(mel.values))
        self._waiting = bounds if self._waiting is None else torch.cat((self._waiting, bounds), dim=2)

    def of(self, start: int, n_frames: int) -> tuple[Bands, Bands]:
        """The lower and the upper bound of frames that have come."""
        assert self._waiting is not None
        low, high = self._waiting.narrow(2, start - self.start, n_frames).unbind()
        return low, high

    def drop_before(self, start: int) -> None:
        """No iteration will ask for earlier ones."""
        assert self._waiting is not None
        self._waiting = self._waiting[:, :, start - self.start :].clone()
        self.start = start


class StreamIteration(Operator):
    """One iteration; it takes every frame that all samples of are there."""

    def __init__(self, consistency: MelConsistency):
        self.consistency = consistency
        self.cut = StreamCut(consistency.config)
        self.ahead = StreamAhead()
        self.join = StreamOverlapAdd(consistency)
        self.n_frames = 0

    def push(
        self, waveform: Piece, previous: Spectra | None, bands: StreamBands
    ) -> tuple[Piece, Complex[Tensor, "batch frames_out n_freqs"]]:
        """The waveform that comes out, and the spectra of the one that came in, for the next iteration.

        Args:
            previous: what is new of the spectra of the iteration before, which is ahead; None: there is none.
        """
        frames = self.cut.push(waveform)
        start, n = self.n_frames, frames.shape[1]
        self.n_frames += n
        before = None if previous is None else self.ahead.push(previous, n)
        if not n:  # which no transform takes
            present = frames.new_empty((len(frames), 0, self.consistency.config.n_fft // 2 + 1)).to(torch.complex64)
            return self.join.push(frames, waveform.last), present
        present = self.consistency.spectra(frames)
        wanted = self.consistency.wanted(present, present if before is None else before, bands.of(start, n))
        return self.join.push(self.consistency.frames(wanted), waveform.last), present


class StreamAhead(Operator):
    """Frames that wait for an iteration to come to them."""

    def __init__(self) -> None:
        self._waiting: Spectra | None = None

    def push(self, new: Spectra, n_frames: int) -> Complex[Tensor, "batch taken n_freqs"]:
        """The first `n_frames` of those that wait and the new ones."""
        both = new if self._waiting is None else torch.cat((self._waiting, new), dim=1)
        self._waiting = both[:, n_frames:].clone()
        return both[:, :n_frames]


class StreamCut(Operator):
    """`MelConsistency.cut`, a frame for each hop of the waveform."""

    def __init__(self, config: MelConfig):
        self.config = config
        self.pad = StreamPad(*edges(config))
        self.buffer = Buffer()
        self.n_frames = 0

    def push(self, waveform: Piece) -> Frames:
        """`batch time` -> the frames that all samples of are there."""
        x = self.buffer.append(self.pad.push(waveform))
        win, hop = self.config.win_length, self.config.hop_length
        n = waveform.stop // hop - self.n_frames if waveform.last else max(0, (x.shape[1] - win) // hop + 1)
        self.n_frames += n
        frames = x.unfold(1, win, hop)[:, :n] if n else x.new_empty(len(x), 0, win)
        self.buffer.drop(n * hop)
        return frames


class StreamOverlapAdd(Operator):
    """`MelConsistency.join`: each frame brings a hop of samples, those that no later frame reaches."""

    def __init__(self, consistency: MelConsistency):
        self.hop = consistency.config.hop_length
        self.edge = edges(consistency.config)[0]
        self.n_parts = -(-consistency.config.win_length // self.hop)
        """Hops under a window."""
        self.squares = consistency.window.new_zeros(self.n_parts * self.hop)
        self.squares[: consistency.config.win_length] = consistency.window.square()
        self.squares = self.squares.unflatten(0, (self.n_parts, self.hop))
        self.steady = self.squares.sum(0).clamp(min=TINY)
        self.held: Frames | None = None
        """The last frames, filled up to whole hops; before the first one, zeros."""
        self.n_frames = 0

    def push(self, frames: Frames, last: bool) -> Piece:
        """-> `batch time`; of the last frames, all samples up to where the last hop of the signal ends."""
        n_batch, n, win_length = frames.shape
        n_held, first, length = self.n_parts - 1, self.n_frames, self.n_parts * self.hop
        n_hops = n + n_held if last else n
        self.n_frames += n
        rows = frames.new_zeros(n_batch, n_held + n_hops, length)
        rows[:, n_held : n_held + n, :win_length] = frames
        if self.held is not None:
            rows[:, :n_held] = self.held
        self.held = rows[:, n_hops:].clone()
        # A hop of samples is a sum along a diagonal: the last part of one frame, the one before it of the next, ...
        sizes, strides = (n_batch, n_hops, self.n_parts, self.hop), (rows.stride(0), length, length - self.hop, 1)
        sums = rows.as_strided(sizes, strides, n_held * self.hop).sum(2)
        final = (sums / self._energy(first, n_hops, last)).flatten(1)
        start = first * self.hop - self.edge
        stop = self.n_frames * self.hop if last else start + final.shape[1]
        return Piece(max(0, start), final[:, max(0, -start) : max(0, stop - start)], last)

    def _energy(self, first: int, n_hops: int, last: bool) -> Float[Tensor, "hops_or_1 hop"]:
        """The squared windows of hop `first` and those after it, added up; fewer than all at both ends."""
        if first >= self.n_parts - 1 and not last:
            return self.steady[None]
        frame = first + torch.arange(n_hops)[:, None] - torch.arange(self.n_parts)
        there = (frame >= 0) & (frame < self.n_frames)
        return (there.to(self.squares) @ self.squares).clamp(min=TINY)


def last_sample_needed(sample: int, config: MelConfig, n_iter: int) -> int:
    """The last sample of the sampler's waveform that must be there before `sample` is final, those before it included.

    An iteration takes the last frame whose window covers the sample, and all that this window sees.
    """
    left = edges(config)[0]
    for _ in range(n_iter):
        sample = (sample + left) // config.hop_length * config.hop_length + config.win_length - left - 1
    return sample
