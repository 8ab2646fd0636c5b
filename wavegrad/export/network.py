"""The network as ONNX nodes."""

import math

import torch

from wavegrad.export.graph import Graph
from wavegrad.network import WaveGrad
from wavegrad.network.conv import Conv
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.noise_embedding import NoiseEmbedding
from wavegrad.network.ublock import UBlock


class NetworkGraph:
    """Writes the layers of a network into a graph; features are `batch channels time`."""

    def __init__(self, graph: Graph, network: WaveGrad):
        self._graph = graph
        self._network = network
        self._slope = network.config.leaky_slope

    def mel_features(self, mel: str) -> str:
        """What the mel's convolution makes of `batch n_mels frames`: the same for every step."""
        g, config = self._graph, self._network.config
        centred = g.op("Sub", mel, g.constant(config.mel_mean))
        return self._conv(g.op("Div", centred, g.constant(config.mel_std)), self._network.mel_conv)

    def embedding(self, noise_level: str, layer: NoiseEmbedding) -> str:
        """` batch` -> `batch channels 1`."""
        g, half = self._graph, layer.channels // 2
        exponents = torch.arange(half, dtype=torch.float32) / half
        position = self._position(g.reshape(noise_level, (-1, 1, 1)), layer)
        angles = g.op("Mul", position, g.constant(torch.exp(-math.log(1e4) * exponents)[:, None]))
        return g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), attributes={"axis": 1})

    def _position(self, noise_level: str, layer: NoiseEmbedding) -> str:
        """What the sinusoids are of: the scaled level, or the index of a step."""
        g = self._graph
        if layer.borders is None:
            return g.op("Mul", noise_level, g.constant(layer.scale))
        passed = g.op("Less", noise_level, g.constant(layer.borders[:, None]))
        count = g.op("ReduceSum", g.op("Where", passed, g.constant(1.0), g.constant(0.0)), g.constant([1]))
        return g.op("Add", count, g.constant(1.0))

    def predict(self, y: str, mel_features: str, noise_level: str) -> str:
        """epsilon_theta: `batch time` -> `batch time`."""
        g, network = self._graph, self._network
        h = self._conv(g.op("Unsqueeze", y, g.constant([1])), network.waveform_conv)
        films = [self._film(h, noise_level, network.films[0])]
        for level, film in zip(network.dblocks, list(network.films)[1:], strict=True):
            for block in level.children():
                h = self._dblock(h, block)
            films.append(self._film(h, noise_level, film))
        u = mel_features
        for level, modulation in zip(network.ublocks, reversed(films), strict=True):
            for block in level.children():
                u = self._ublock(u, modulation, block)
        outputs = self._conv(u, network.output_conv)
        noise = g.slice(outputs, 1, 0, 1) if network.config.learned_variance else outputs
        return g.op("Squeeze", noise, g.constant([1]))

    def _conv(self, x: str, conv: Conv) -> str:
        assert conv.bias is not None
        attributes = {
            "dilations": list(conv.dilation),
            "strides": list(conv.stride),
            "pads": [int(conv.padding[0])] * 2,
            "kernel_shape": list(conv.kernel_size),
        }
        weights = self._graph.weight(conv.weight), self._graph.weight(conv.bias)
        return self._graph.op("Conv", x, *weights, attributes=attributes)

    def _activated(self, x: str) -> str:
        return self._graph.op("LeakyRelu", x, attributes={"alpha": self._slope})

    def _film(self, x: str, noise_level: str, film: torch.nn.Module) -> tuple[str, str]:
        assert isinstance(film, FiLM)
        g, n_out = self._graph, film.output.out_channels // 2
        h = g.op("Add", self._activated(self._conv(x, film.input)), self.embedding(noise_level, film.embedding))
        both = self._conv(h, film.output)
        return g.slice(both, 1, 0, n_out), g.slice(both, 1, n_out)

    def _modulated(self, x: str, film: tuple[str, str]) -> str:
        g = self._graph
        return self._activated(g.op("Add", g.op("Mul", film[0], x), film[1]))

    def _ublock(self, x: str, film: tuple[str, str], block: torch.nn.Module) -> str:
        assert isinstance(block, UBlock)
        g = self._graph
        conv_1, conv_2, conv_3, conv_4 = (conv for conv in block.convs if isinstance(conv, Conv))
        residual = self._up(self._conv(x, block.residual), block)
        h = self._conv(self._up(self._activated(x), block), conv_1)
        h = g.op("Add", self._conv(self._modulated(h, film), conv_2), residual)
        u = self._conv(self._modulated(h, film), conv_3)
        return g.op("Add", h, self._conv(self._modulated(u, film), conv_4))

    def _up(self, x: str, block: UBlock) -> str:
        if block.factor == 1:
            return x
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        scales = self._graph.constant([1.0, 1.0, float(block.factor)])
        return self._graph.op("Resize", x, "", scales, attributes=nearest if block.mode == "nearest" else linear)

    def _dblock(self, x: str, block: torch.nn.Module) -> str:
        assert isinstance(block, DBlock)
        g = self._graph
        low = self._down(x, block)
        h = x if block.mode == "strided" else low
        for conv in block.convs:
            assert isinstance(conv, Conv)
            h = self._conv(self._activated(h), conv)
        return g.op("Add", h, self._conv(low, block.residual))

    def _down(self, x: str, block: DBlock) -> str:
        """Means of `factor` values; or the first of them; or the middle, between two where there are two."""
        g, factor = self._graph, block.factor
        if factor == 1:
            return x
        if block.mode == "strided":
            return g.op("AveragePool", x, attributes={"kernel_shape": [factor], "strides": [factor]})
        if block.mode == "nearest":
            return g.slice(x, 2, 0, step=factor)
        middle = g.slice(x, 2, factor // 2, step=factor)
        if factor % 2:
            return middle
        before = g.slice(x, 2, factor // 2 - 1, step=factor)
        return g.op("Mul", g.op("Add", before, middle), g.constant(0.5))
