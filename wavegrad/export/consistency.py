"""`MelConsistency` as ONNX nodes: its iterations are a Loop, its Fourier transforms matrix products.

In onnxruntime 1.31, on one thread, products with tables halved by their symmetry were quicker than those with
whole ones, and these than the DFT operator. A Loop was as quick as its iterations written out, and loads far sooner.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.consistency import MOMENTUM, TINY, MelConsistency, edges
from wavegrad.export.graph import Graph
from wavegrad.export.mel import mel_bands

Spectra = tuple[str, str]
"""Real and imaginary parts, `batch frames n_freqs`."""
_FAR = torch.iinfo(torch.int64).max


def consistent(g: Graph, waveform: str, mel: str, consistency: MelConsistency) -> str:
    """`MelConsistency`: `batch frames*hop_length` and `batch n_mels frames`, one frame or more, -> a waveform."""
    update = _Update(g, mel, consistency)
    transform = _Transform(g, g.op("Shape", mel, attributes={"start": 2}), consistency)

    def iteration(waveform: str, real: str, imaginary: str) -> tuple[str, str, str]:
        present = transform.spectra(waveform)
        return transform.waveform(update.wanted(present, (real, imaginary))), *present

    return g.repeat(consistency.n_iter, iteration, waveform, *transform.spectra(waveform))[0]


class _Transform:
    """Waveform to spectra, and back.

    A windowed frame x is folded at its middle c: x[c + d] + x[c - d] gives the real parts, x[c + d] - x[c - d] the
    imaginary ones, which halves the products. So phases count from c, not from the frame's first sample, and backwards:
    nothing that is done with them depends on it. Bins are scaled so that the transform back is the transposed one.
    """

    def __init__(self, graph: Graph, n_frames: str, consistency: MelConsistency):
        self._graph = g = graph
        config = consistency.config
        self._hop = config.hop_length
        dropped = 1 - config.win_length % 2  # a window's first value is 0; without it there is a middle
        window = consistency.window[dropped:]
        self._left = edges(config)[0] - dropped
        self._n_parts, self._middle = -(-len(window) // self._hop), len(window) // 2
        right, left = window[self._middle :], window[: self._middle + 1].flip(0)
        self._windows = g.constant(right), g.constant(left * (torch.arange(len(left)) > 0))
        turns = torch.arange(self._middle + 1)[:, None] * torch.arange(config.n_fft // 2 + 1) % config.n_fft
        angles, scales = turns.double() * (2 * math.pi / config.n_fft), _bin_scales(config.n_fft)
        self._there = [g.constant(scales * angles.cos()), g.constant(scales * angles.sin())]
        self._back = [g.op("Transpose", table) for table in self._there]
        self._samples, self._blocks = self._indices(n_frames)
        shape = g.op("Concat", g.constant([1]), n_frames, g.constant([1]), attributes={"axis": 0})
        energy = self._overlap_add(g.op("Expand", g.constant(window.square()[None, None]), shape))
        self._energy = g.op("Max", energy, g.constant(TINY))

    def spectra(self, waveform: str) -> Spectra:
        """`MelConsistency.cut` and `spectra`."""
        g = self._graph
        reflected = g.op("Gather", waveform, self._samples, attributes={"axis": 1})
        blocks = g.op("Gather", g.reshape(reflected, (0, -1, self._hop)), self._blocks, attributes={"axis": 1})
        frames = g.reshape(blocks, (0, 0, -1))
        right = g.op("Mul", g.slice(frames, 2, self._middle, 2 * self._middle + 1), self._windows[0])
        left = g.op("Mul", g.slice(frames, 2, self._middle, -_FAR, step=-1), self._windows[1])
        cosine, sine = self._there
        return g.op("MatMul", g.op("Add", right, left), cosine), g.op("MatMul", g.op("Sub", right, left), sine)

    def waveform(self, spectra: Spectra) -> str:
        """`MelConsistency.frames` and `join`."""
        g = self._graph
        even, odd = (g.op("MatMul", part, table) for part, table in zip(spectra, self._back, strict=True))
        right = g.op("Mul", g.op("Add", even, odd), self._windows[0])
        left = g.op("Mul", g.op("Sub", even, odd), self._windows[1])
        frames = g.op("Concat", g.slice(left, 2, -1, 0, step=-1), right, attributes={"axis": 2})
        return g.op("Div", self._overlap_add(frames), self._energy)

    def _indices(self, n_frames: str) -> tuple[str, str]:
        """Of the samples that all windows see, beyond the ends reflected, as often as needed; and of the hops of these
        under each window, `frames parts`."""
        g = self._graph
        n = g.op("Squeeze", n_frames)
        joined = g.op("Mul", g.op("Add", n, g.constant(self._n_parts - 1)), g.constant(self._hop))
        sample = g.op("Sub", g.op("Range", g.constant(0), joined, g.constant(1)), g.constant(self._left))
        last = g.op("Sub", g.op("Mul", n, g.constant(self._hop)), g.constant(1))
        there_and_back = g.op("Mod", g.op("Add", sample, last), g.op("Add", last, last))
        frame = g.reshape(g.op("Range", g.constant(0), n, g.constant(1)), (-1, 1))
        blocks = g.op("Add", frame, g.constant(torch.arange(self._n_parts)))
        return g.op("Abs", g.op("Sub", there_and_back, last)), blocks

    def _overlap_add(self, frames: str) -> str:
        """`batch frames window` -> `batch frames*hop_length`, the reflected ends cut off."""
        g, hop, n = self._graph, self._hop, self._n_parts
        whole = g.op("Pad", frames, g.constant([0, 0, 0, 0, 0, n * hop - (2 * self._middle + 1)]))
        parts = (
            g.op("Pad", g.slice(whole, 2, k * hop, (k + 1) * hop), g.constant([0, k, 0, 0, n - 1 - k, 0]))
            for k in range(n)
        )
        added = g.reshape(g.op("Sum", *parts), (0, -1))
        return g.op("Pad", added, g.constant([0, -self._left, 0, self._left - (n - 1) * hop]))  # less than 0: crop


class _Update:
    """Spectra to those with the right mel, `MelConsistency.wanted`."""

    def __init__(self, graph: Graph, mel: str, consistency: MelConsistency):
        self._graph = g = graph
        self._config = config = consistency.config
        norm = consistency.window.norm() if config.stft_normalized else 1.0
        unscaled = (_bin_scales(config.n_fft) * norm) ** -config.power
        self._to_bands = g.constant((consistency.filterbank * unscaled).mT)
        self._to_bins = g.constant(consistency.to_bins)
        self._unheard = g.constant(consistency.unheard)
        values = mel_bands(g, mel, config)
        low = g.op("Where", g.op("Greater", mel, g.constant(config.minimum)), values, g.constant(0.0))
        high = values
        if config.clamp_max is not None:
            high = g.op("Where", g.op("Less", mel, g.constant(config.clamp_max)), values, g.constant(math.inf))
        self._low, self._high = (g.op("Transpose", bound, attributes={"perm": [0, 2, 1]}) for bound in (low, high))

    def wanted(self, present: Spectra, previous: Spectra) -> Spectra:
        """`present` with phases that go on from `previous`, and the right mel."""
        g = self._graph
        magnitudes = self._modulus(present)
        real, imaginary = (self._further(*parts) for parts in zip(previous, present, strict=True))
        modulus = g.op("Max", self._modulus((real, imaginary)), g.constant(TINY))
        factor = g.op("Div", g.op("Mul", magnitudes, self._gains(magnitudes)), modulus)
        return g.op("Mul", real, factor), g.op("Mul", imaginary, factor)

    def _further(self, previous: str, present: str) -> str:
        g = self._graph
        step = g.op("Mul", g.op("Sub", present, previous), g.constant(1 + MOMENTUM))
        return g.op("Add", previous, step)

    def _modulus(self, spectra: Spectra) -> str:
        g = self._graph
        return g.op("Sqrt", g.op("Add", *(g.op("Mul", part, part) for part in spectra)))

    def _gains(self, magnitudes: str) -> str:
        """`MelConsistency.gains`."""
        g, is_power = self._graph, self._config.power == 2
        x = g.op("Mul", magnitudes, magnitudes) if is_power else magnitudes
        heard = g.op("MatMul", x, self._to_bands)
        bounded = g.op("Max", g.op("Min", heard, self._high), self._low)
        ratios = g.op("Div", bounded, g.op("Max", heard, g.constant(TINY)))
        gains = g.op("Add", g.op("MatMul", ratios, self._to_bins), self._unheard)
        return g.op("Sqrt", gains) if is_power else gains


def _bin_scales(n_fft: int) -> Float[Tensor, " n_freqs"]:
    """What makes the transform of real frames orthogonal: each bin stands for two, but the first and the last."""
    scales = torch.full((n_fft // 2 + 1,), math.sqrt(2 / n_fft), dtype=torch.float64)
    scales[[0, -1]] = math.sqrt(1 / n_fft)
    return scales
