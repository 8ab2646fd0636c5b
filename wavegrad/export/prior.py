"""The prior as ONNX nodes: gains from the mel, and the lapped transform as matrix products."""

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.lapped import lapped
from wavegrad.audio.mel import MelConfig, band_amplitude, band_values
from wavegrad.audio.prior import PriorConfig, PriorGains
from wavegrad.export.graph import Graph
from wavegrad.export.mel import mel_bands


def gains(g: Graph, mel: str, mel_config: MelConfig, config: PriorConfig) -> str:
    """`wavegrad.audio.prior.prior_gains`: `batch n_mels frames` -> `batch frames hop`."""
    floor, ceiling = g.constant(config.floor), g.constant(torch.finfo(torch.float32).max)
    heard, scale = _bands(mel_config)
    band = mel_bands(g, g.op("Gather", mel, g.constant(heard), attributes={"axis": 1}), mel_config)
    root = g.op("Sqrt", band) if mel_config.power == 2 else band
    amplitude = g.op("Clip", g.op("Mul", root, g.constant(scale[:, None])), floor, ceiling)
    amplitude = g.op("Transpose", amplitude, attributes={"perm": [0, 2, 1]})
    fixed = PriorGains(mel_config, config)
    to_bins = fixed.to_bins.to(scale.dtype)
    power = g.op("MatMul", g.op("Mul", amplitude, amplitude), g.constant(to_bins))
    strength = config.strength if config.kind == "spectral" else 0.0
    envelope = strength * fixed.smooth.to(scale.dtype) @ to_bins
    shape = g.op("Exp", g.op("MatMul", g.op("Log", amplitude), g.constant(envelope)))
    relative = g.op("Div", power, g.op("Mul", shape, shape))
    mean = g.op("ReduceMean", relative, g.constant([2]), attributes={"keepdims": 1})
    return g.op("Clip", g.op("Mul", g.op("Sqrt", mean), shape), floor, ceiling)


def colour(g: Graph, waveform: str, gains: str, hop: int) -> str:
    """`wavegrad.audio.prior.colour`: `batch frames*hop` -> the same shape."""
    transform = _LappedGraph(g, hop)
    coefficients = transform.apply(g.reshape(waveform, (0, -1, hop)), inverse=False)
    return g.reshape(transform.apply(g.op("Mul", coefficients, gains), inverse=True), (0, -1))


class _LappedGraph:
    """The transform is linear and reaches over one frame on either side: its matrices are read off impulses."""

    def __init__(self, graph: Graph, hop: int):
        self._graph = graph
        impulses = torch.eye(3 * hop)
        first, middle, last = (
            torch.stack([part[:, i] for part in lapped(impulses, hop).split(hop)]) for i in range(3)
        )  # [frame of the impulse, impulse, coefficient]
        self._own, self._before, self._after = middle[1], middle[0], middle[2]
        self._at_first, self._at_last = first[0] - self._own, last[2] - self._own

    def apply(self, x: str, inverse: bool) -> str:
        """Frames -> coefficients; the inverse of an orthogonal matrix is its transpose."""
        g = self._graph
        own, before, after = self._own, self._before, self._after
        if inverse:
            own, before, after = own.T, after.T, before.T
        result = self._product(x, own)
        for matrix, shift in ((before, 1), (after, -1)):
            pads = [0, shift, 0, 0, -shift, 0]  # a negative number crops
            result = g.op("Add", result, self._product(g.op("Pad", x, g.constant(pads)), matrix))
        for matrix, at in ((self._at_first, 0), (self._at_last, -1)):
            end = self._product(self._only(x, at), matrix.T if inverse else matrix)
            result = g.op("Add", result, end)
        return result

    def _only(self, x: str, at: int) -> str:
        """The first (0) or last (-1) frame where it is, zeros elsewhere."""
        g = self._graph
        others = g.slice(x, 1, 1) if at == 0 else g.slice(x, 1, 0, -1)
        return g.op("Sub", x, g.op("Pad", others, g.constant([0, 1, 0, 0, 0, 0] if at == 0 else [0, 0, 0, 0, 1, 0])))

    def _product(self, x: str, matrix: Float[Tensor, "n n"]) -> str:
        return self._graph.op("MatMul", x, self._graph.constant(matrix))


def _bands(config: MelConfig) -> tuple[Tensor, Float[Tensor, " n_mels"]]:
    """Which band each amplitude is read from, and its factor: seen by asking for the amplitudes of known mels."""
    flat = torch.full((1, config.n_mels, 1), config.offset)
    base = band_amplitude(flat, config)
    raised = band_amplitude(flat + config.scale * torch.eye(config.n_mels)[:, :, None], config)
    heard = (raised != base)[:, :, 0].int().argmax(0)
    value = band_values(flat, config)
    return heard, (base / (value.sqrt() if config.power == 2 else value))[0, :, 0]
