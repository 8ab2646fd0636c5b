"""The log-mel front-end as a stream: a waveform of any length in, the frames that it would have at once out."""

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelSpectrogram, PadMode, check_length, pad, padding
from wavegrad.pieces import Buffer, Operator, Piece


class StreamMel(Operator):
    """Computes each frame as soon as its last sample is there.

    Args:
        front_end: where it computes, and how.
    """

    def __init__(self, front_end: MelSpectrogram):
        self.front_end = front_end
        self.config = front_end.config
        self.pad = StreamPad(*padding(front_end.config), front_end.config.pad_mode)
        self.buffer = Buffer()
        self.start = 0

    def push(self, waveform: Piece) -> Piece:
        """`batch time` -> `batch n_mels frames`.

        Raises:
            AudioError: the waveform has ended, and is too short for one frame.
        """
        if waveform.last:
            check_length(waveform.stop, self.config)
        x = self.buffer.append(self.pad.push(waveform))
        n_frames = max(0, (x.shape[1] - self.config.n_fft) // self.config.hop_length + 1)
        self.buffer.drop(n_frames * self.config.hop_length)
        start, self.start = self.start, self.start + n_frames
        mel = self.front_end.of_padded(x) if n_frames else x.new_empty(len(x), self.config.n_mels, 0)
        return Piece(start, mel, waveform.last)


class StreamPad(Operator):
    """`mel.pad` as a stream: holds the beginning back until it can be reflected, and remembers the end."""

    def __init__(self, left: int, right: int, mode: PadMode = "reflect"):
        self.left, self.right = left, right
        self.mode: PadMode = mode
        self.beginning: Buffer | None = Buffer()
        self.end: Tensor | None = None
        self.start = 0

    def push(self, waveform: Piece) -> Piece:
        x = waveform.values
        if self.beginning is not None:
            x = self.beginning.append(waveform)
            if x.shape[1] <= max(self.left, self.right):
                return Piece(0, self._pad(x, self.left, self.right) if waveform.last else x[:, :0], waveform.last)
            self.beginning = None
            self.end = x[:, :0]
            padded = self._pad(x, self.left, 0)
        else:
            padded = x
        assert self.end is not None
        both = x if x.shape[1] > self.right else torch.cat((self.end, x), dim=1)
        self.end = both[:, -(self.right + 1) :].clone()
        if waveform.last and self.right:
            padded = torch.cat((padded, self._pad(self.end, 0, self.right)[:, -self.right :]), dim=1)
        start, self.start = self.start, self.start + padded.shape[1]
        return Piece(start, padded, waveform.last)

    def _pad(self, x: Tensor, left: int, right: int) -> Tensor:
        return pad(x, left, right, self.mode)


def mel_blocks(waveforms: Iterable[Float[Tensor, " _"]], front_end: MelSpectrogram) -> Iterator[Float[Tensor, "_ _"]]:
    """The mel, `n_mels frames` at a time, of one waveform that comes in blocks `time`, of any lengths.

    Zeros fill its last frame, as in `Vocoder.resynthesize`.

    Raises:
        AudioError: it has ended, and is too short for one frame.
    """
    stream = StreamMel(front_end)
    n_samples = 0
    for waveform in waveforms:
        piece = Piece(n_samples, waveform[None])
        n_samples = piece.stop
        yield stream.push(piece).values[0]
    rest = torch.zeros(1, -n_samples % front_end.config.hop_length)
    yield stream.push(Piece(n_samples, rest, last=True)).values[0]
