"""The streaming form of the network."""

from torch import Tensor, nn

from wavegrad.inference.streaming.blocks import StreamDBlock, StreamFiLM, StreamUBlock
from wavegrad.inference.streaming.layers import StreamConv
from wavegrad.network import WaveGrad
from wavegrad.network.conv import channels_last
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.pieces import Operator, Piece
from wavegrad.shapes import NoiseLevel


class StreamMelConv(Operator):
    """The layer that reads the mel. It knows no noise, so all steps share one."""

    def __init__(self, network: WaveGrad):
        self.config = network.config
        self.conv = StreamConv(network.mel_conv)

    def push(self, mel: Piece) -> Piece:
        """`batch n_mels frames` -> `batch channels frames`."""
        return self.conv.push(mel.map(self._normalise))

    def _normalise(self, mel: Tensor) -> Tensor:
        return channels_last((mel - self.config.mel_mean) / self.config.mel_std)


class StreamNetwork(Operator):
    """epsilon_theta without the layer that reads the mel: `WaveGrad.forward` in pieces, at one noise level.

    Its operators are found by walking the modules of the network, whose weights they share.
    """

    def __init__(self, network: WaveGrad):
        self.waveform_conv = StreamConv(network.waveform_conv)
        self.films = [StreamFiLM(film) for film in network.films if isinstance(film, FiLM)]
        self.levels_down = [_Level(level) for level in network.dblocks]
        self.levels_up = [_Level(level) for level in network.ublocks]
        self.output_conv = StreamConv(network.output_conv)

    def bind(self, noise_level: NoiseLevel) -> None:
        """The noise level of each item of the batch, from here on."""
        for film in self.films:
            film.bind(noise_level)

    def push(self, y: Piece, condition: Piece) -> Piece:
        """What is new of the prediction, `batch time`.

        Args:
            y: what is new of the noisy waveform, `batch time`.
            condition: what is new of the mel, read by `StreamMelConv`.
        """
        h = self.waveform_conv.push(y.map(lambda values: values.unsqueeze(1))).map(channels_last)
        films = [self.films[0].push(h)]
        for level, film in zip(self.levels_down, self.films[1:], strict=True):
            h = level.down(h)
            films.append(film.push(h))
        u = condition
        for level, modulation in zip(self.levels_up, reversed(films), strict=True):
            u = level.up(u, modulation)
        return self.output_conv.push(u).map(lambda values: values[:, 0])  # beside it, a learned variance


class _Level(Operator):
    """The blocks between two rates."""

    def __init__(self, blocks: nn.Module):
        self.dblocks = [StreamDBlock(block) for block in blocks.children() if isinstance(block, DBlock)]
        self.ublocks = [StreamUBlock(block) for block in blocks.children() if isinstance(block, UBlock)]

    def down(self, x: Piece) -> Piece:
        for block in self.dblocks:
            x = block.push(x)
        return x

    def up(self, x: Piece, film: Piece) -> Piece:
        for block in self.ublocks:
            x = block.push(x, film)
        return x
