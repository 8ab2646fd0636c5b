"""`MelConsistency` as ONNX nodes: its iterations are a Loop, its Fourier transforms matrix products.

onnxruntime 1.31 on one core, 240 frames of `wavegrad-24k` there and back: products 11.0 ms, its DFT operator 29.5 ms.
"""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from wavegrad.audio.consistency import MOMENTUM, TINY, MelConsistency, edges
from wavegrad.export.graph import Graph
from wavegrad.export.mel import mel_bands

Spectra = tuple[str, str]
"""Real and imaginary parts, `batch frames n_freqs`."""


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
    imaginary ones, which halves the products. So phases count from c, not from the frame's first sample: a delay, which
    does not matter to what is done with them. Bins are scaled so that the transform back is the transposed one.
    """

    def __init__(self, graph: Graph, n_frames: str, consistency: MelConsistency):
        self._graph = g = graph
        self._config = config = consistency.config
        self._middle = config.win_length // 2
        self._windows = [g.constant(half) for half in _halves(consistency.window)]
        distance = torch.arange(self._middle + 1)
        turns = (distance[:, None] * torch.arange(config.n_fft // 2 + 1) % config.n_fft).double() / config.n_fft
        angles, scales = 2 * math.pi * turns, _bin_scales(config.n_fft)
        self._there = [g.constant(scales * angles.cos()), g.constant(scales * -angles.sin())]
        self._back = [g.op("Transpose", table) for table in self._there]
        middle = self._middle - edges(config)[0]
        self._samples = [self._reflected(n_frames, middle + d) for d in (distance, -distance)]
        window = g.reshape(g.constant(consistency.window.square()), (1, 1, -1))
        shape = g.op("Concat", g.constant([1]), n_frames, g.constant([1]), attributes={"axis": 0})
        self._energy = g.op("Max", self._overlap_add(g.op("Expand", window, shape)), g.constant(TINY))

    def spectra(self, waveform: str) -> Spectra:
        """`MelConsistency.cut` and `spectra`."""
        g = self._graph
        right, left = (
            g.op("Mul", g.op("Gather", waveform, samples, attributes={"axis": 1}), window)
            for samples, window in zip(self._samples, self._windows, strict=True)
        )
        cosine, sine = self._there
        return g.op("MatMul", g.op("Add", right, left), cosine), g.op("MatMul", g.op("Sub", right, left), sine)

    def waveform(self, spectra: Spectra) -> str:
        """`MelConsistency.frames` and `join`."""
        g = self._graph
        even, odd = (g.op("MatMul", part, table) for part, table in zip(spectra, self._back, strict=True))
        right = g.op("Mul", g.op("Add", even, odd), self._windows[0])
        left = g.op("Mul", g.op("Sub", even, odd), self._windows[1])
        halves = g.slice(left, 2, -1, 0, step=-1), g.slice(right, 2, 0, self._config.win_length - self._middle)
        return g.op("Div", self._overlap_add(g.op("Concat", *halves, attributes={"axis": 2})), self._energy)

    def _reflected(self, n_frames: str, offset: Int[Tensor, " n"]) -> str:
        """Samples k * hop_length + offset of each frame k, `frames n`; beyond the ends reflected, as often as needed."""
        g = self._graph
        n_samples = g.op("Squeeze", g.op("Mul", n_frames, g.constant([self._config.hop_length])))
        starts = g.op("Range", g.constant(0), n_samples, g.constant(self._config.hop_length))
        sample = g.op("Add", g.reshape(starts, (-1, 1)), g.constant(offset))
        last = g.op("Sub", n_samples, g.constant(1))
        round_trip = g.op("Mod", g.op("Add", sample, last), g.op("Add", last, last))
        return g.op("Abs", g.op("Sub", round_trip, last))

    def _overlap_add(self, frames: str) -> str:
        """`batch frames win_length` -> `batch frames*hop_length`, the reflected ends cut off."""
        g, hop, win = self._graph, self._config.hop_length, self._config.win_length
        n_parts, left = -(-win // hop), edges(self._config)[0]
        whole = g.op("Pad", frames, g.constant([0, 0, 0, 0, 0, n_parts * hop - win]))
        parts = (
            g.op("Pad", g.slice(whole, 2, k * hop, (k + 1) * hop), g.constant([0, k, 0, 0, n_parts - 1 - k, 0]))
            for k in range(n_parts)
        )
        added = g.reshape(g.op("Sum", *parts), (0, -1))
        return g.op("Pad", added, g.constant([0, -left, 0, left - (n_parts - 1) * hop]))  # a negative number crops


class _Update:
    """Spectra to those with the right mel, `MelConsistency.wanted`."""

    def __init__(self, graph: Graph, mel: str, consistency: MelConsistency):
        self._graph = g = graph
        self._config = config = consistency.config
        norm = consistency.window.norm() if config.stft_normalized else 1.0
        unscaled = (_bin_scales(config.n_fft) * norm) ** -config.power
        self._to_bands = g.constant((consistency.filterbank * unscaled).mT)
        self._to_bins = g.constant(consistency.filterbank / consistency.weights)
        self._unheard = g.constant(consistency.weights.isinf().float())
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
        phases = tuple(self._further(*parts) for parts in zip(previous, present, strict=True))
        modulus = g.op("Max", self._modulus(phases), g.constant(TINY))
        factor = g.op("Div", g.op("Mul", magnitudes, self._gains(magnitudes)), modulus)
        return g.op("Mul", phases[0], factor), g.op("Mul", phases[1], factor)

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


def _halves(window: Float[Tensor, " win_length"]) -> tuple[Float[Tensor, " half"], Float[Tensor, " half"]]:
    """A window from its middle to the right, and to the left, where the middle itself counts as 0."""
    middle = len(window) // 2
    right = F.pad(window[middle:], (0, 2 * middle + 1 - len(window)))
    return right, F.pad(window[:middle].flip(0), (1, 0))
