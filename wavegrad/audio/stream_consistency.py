"""`MelConsistency` as a stream: the iterations stand one behind the other along time, and nothing is computed twice."""

import torch
from torch import Tensor

from wavegrad.audio.consistency import TINY, MelConsistency, edges, overlap_add
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.stream_mel import StreamPad
from wavegrad.pieces import Buffer, Join, Operator, Piece


class StreamConsistency(Operator):
    """Waveform and mel in; out, as far as it is final, the waveform that `MelConsistency` makes of the whole."""

    def __init__(self, consistency: MelConsistency):
        self.consistency = consistency
        self.iterations = [StreamIteration(consistency) for _ in range(consistency.n_iter)]

    def push(self, waveform: Piece, mel: Piece) -> Piece:
        """`batch time` and `batch n_mels frames`, which may be ahead -> `batch time`."""
        if not self.iterations:
            return waveform
        bounds = mel.map(lambda values: torch.stack(self.consistency.bounds(values)).mT)
        previous: Piece | None = None
        for iteration in self.iterations:
            waveform, previous = iteration.push(waveform, previous, bounds)
        return waveform


class StreamIteration(Operator):
    """One iteration; spectra flow as `batch n_freqs frames`, time last."""

    def __init__(self, consistency: MelConsistency):
        self.consistency = consistency
        self.cut = StreamCut(consistency.config)
        self.update = Join(self._wanted, 3)
        self.join = StreamOverlapAdd(consistency)

    def push(self, waveform: Piece, previous: Piece | None, bounds: Piece) -> tuple[Piece, Piece]:
        """The waveform that comes out, and the spectra of the one that came in, for the next iteration."""
        present = self.cut.push(waveform).map(self._spectra)
        wanted = self.update.push(present, present if previous is None else previous, bounds)
        return self.join.push(wanted.map(self._frames)), present

    def _spectra(self, frames: Tensor) -> Tensor:
        if not frames.shape[2]:  # which no transform takes
            return frames.new_empty(len(frames), self.consistency.filterbank.shape[1], 0, dtype=torch.complex64)
        return self.consistency.spectra(frames.mT).mT

    def _frames(self, spectra: Tensor) -> Tensor:
        if not spectra.shape[2]:
            return self.consistency.window.new_empty(len(spectra), self.consistency.config.win_length, 0)
        return self.consistency.frames(spectra.mT).mT

    def _wanted(self, present: Tensor, previous: Tensor, bounds: Tensor) -> Tensor:
        low, high = bounds.mT
        return self.consistency.wanted(present.mT, previous.mT, (low, high)).mT


class StreamCut(Operator):
    """`MelConsistency.cut`, a frame for each hop of the waveform: `batch time` -> `batch win_length frames`."""

    def __init__(self, config: MelConfig):
        self.config = config
        self.pad = StreamPad(*edges(config))
        self.buffer = Buffer()
        self.start = 0

    def push(self, waveform: Piece) -> Piece:
        x = self.buffer.append(self.pad.push(waveform))
        win, hop = self.config.win_length, self.config.hop_length
        n = max(0, (x.shape[1] - win) // hop + 1)
        if waveform.last:
            n = waveform.stop // hop - self.start
        frames = x.unfold(1, win, hop)[:, :n].mT if n else x.new_empty(len(x), win, 0)
        self.buffer.drop(n * hop)
        start, self.start = self.start, self.start + n
        return Piece(start, frames, waveform.last)


class StreamOverlapAdd(Operator):
    """`MelConsistency.join`: `batch win_length frames` -> `batch time`. A sample waits for its last window."""

    def __init__(self, consistency: MelConsistency):
        self.hop = consistency.config.hop_length
        self.edge = edges(consistency.config)[0]
        self.window = consistency.window.square()
        self.pending: Tensor | None = None
        self.start = -self.edge

    def push(self, frames: Piece) -> Piece:
        n = frames.values.shape[2]
        sums = frames.values.new_empty(len(frames.values) + 1, 0) if self.pending is None else self.pending
        if n:
            windows = self.window.expand(1, n, -1)
            new = overlap_add(torch.cat((frames.values.mT, windows)), self.hop)
            sums = torch.cat((new[:, : sums.shape[1]] + sums, new[:, sums.shape[1] :]), dim=1)
        n_final = sums.shape[1] if frames.last else n * self.hop
        self.pending = sums[:, n_final:].clone()
        final = sums[:-1, :n_final] / sums[-1:, :n_final].clamp(min=TINY)
        start, self.start = self.start, self.start + n_final
        final = final[:, max(0, -start) :]
        start = max(0, start)
        return Piece(start, final[:, : frames.stop * self.hop - start] if frames.last else final, frames.last)


def last_sample_needed(sample: int, config: MelConfig, n_iter: int) -> int:
    """The last sample of the sampler's waveform that must be there before `sample` is final, those before it included.

    An iteration takes the last frame whose window covers the sample, and all that this window sees.
    """
    left = edges(config)[0]
    for _ in range(n_iter):
        sample = (sample + left) // config.hop_length * config.hop_length + config.win_length - left - 1
    return sample
