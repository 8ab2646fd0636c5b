"""The fast engine: a network prepared once, bound to a mel, called by any sampler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F

from wavegrad.device import Precision
from wavegrad.errors import ConfigError
from wavegrad.inference.film import LevelBias, OneLevel
from wavegrad.inference.graphs import CudaRecorder, GraphCache, bucket
from wavegrad.inference.kernels import Kernels, choose_kernels
from wavegrad.inference.prepared import Condition, PreparedNetwork
from wavegrad.inference.quantized import check_int8
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, NoiseLevel, PredictNoise, Waveform

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "int8": torch.int8,
}
KEPT_LEVELS = 128
"""Noise levels whose constants an engine keeps, those used last: some 40 kB each for Base."""


@dataclass(frozen=True)
class EngineOptions:
    """What an engine may do, to be switched off for comparisons; the result is the same to rounding."""

    n_graphs: int = 16
    """CUDA graphs that are kept; 0 for none: every call is launched kernel by kernel."""
    fused: bool = True
    """Several operations in one, where `choose_kernels` knows how."""

    def __post_init__(self) -> None:
        if self.n_graphs < 0:
            raise ConfigError(f"n_graphs is {self.n_graphs}; it must be 0, for none, or more")


@dataclass(frozen=True)
class Engine:
    """The network of a vocoder, rewritten for inference: the same numbers to rounding, fewer operations.

    What changes and why the result does not: `UpsampledConvolution` (products before the upsampling), `PreparedFiLM`
    (the noise level as a bias), `PreparedDBlock` (1x1 after the downsampling), `Condition` (the mel's part, once). Each
    has its equality test. What FiLM does to a feature, or what follows a convolution, is one kernel where that works
    (`choose_kernels`). On a GPU whole walks (`sample_at_once`) or single calls are replayed from CUDA graphs.
    """

    network: PreparedNetwork
    graphs: GraphCache | None = None
    """None: every call is launched kernel by kernel."""

    @classmethod
    def prepare(
        cls, network: WaveGrad, precision: Precision = "float32", options: EngineOptions = EngineOptions()
    ) -> "Engine":
        """Copy and lay out the weights, on the device that they are on.

        Args:
            network: left as it is; later changes to it do not reach the engine.
            precision: of the arithmetic (int8: of the products, see `quantized`); a float64 network stays in float64
                where float32 is asked for.
            options: what it may do.

        Raises:
            ConfigError: int8 where it is not possible.

        Warns:
            KernelWarning: as `choose_kernels`.
        """
        weight = next(network.parameters())
        if precision == "int8":
            check_int8(weight.device)
        double = weight.dtype == torch.float64 and precision == "float32"
        dtype = torch.float64 if double else DTYPES[precision]
        kernels = choose_kernels(weight.device, dtype) if options.fused else Kernels()
        graphs = weight.is_cuda and options.n_graphs
        return cls(
            PreparedNetwork.prepare(network, dtype, kernels.modulate, kernels.fusion),
            GraphCache(options.n_graphs, CudaRecorder.on(weight.device)) if graphs else None,
        )

    def bind(self, mel: Mel, frames: Sequence[int] | None = None) -> PredictNoise:
        """epsilon_theta(y, noise_level) for a mel.

        Args:
            mel: `batch n_mels frames`; beyond the end of an item any finite values.
            frames: of each item, at most the length of the batch; left out, all are of that length. Each item gets what
                it would get alone; beyond its end the prediction is zero.

        Returns:
            A function of `batch time` and ` batch`, all of one noise level, as samplers have it.

        Raises:
            ValueError: the lengths of `y` and `mel` do not belong together, or (when called) several noise levels.
        """
        n_items, _, n_frames = mel.shape
        frames = [n_frames] * n_items if frames is None else list(frames)
        if len(frames) != n_items or max(frames) > n_frames or min(frames) < 1:
            raise ValueError(f"{frames} frames do not belong to a batch of {n_items} x {n_frames}")
        hop = self.network.config.hop_length
        ragged = min(frames) < n_frames
        padding = 0 if self.graphs is None else bucket(n_frames + 1) - n_frames  # so that there always are masks
        condition = self.condition(F.pad(mel, (0, padding)), frames)
        mask = condition.ends[-1].mask
        inside = mask[:, : n_frames * hop, 0] > 0 if ragged and mask is not None else None

        def predict_noise(y: Waveform, noise_level: NoiseLevel) -> Waveform:
            if y.shape != (n_items, n_frames * hop):
                raise ValueError(f"y is {tuple(y.shape)}, the mel was bound for {(n_items, n_frames * hop)}")
            if not _is_one_level(noise_level):
                raise ValueError(f"noise levels {noise_level.tolist()}; the engine takes one for the whole batch")
            inputs = F.pad(y, (0, padding * hop)), noise_level[:1], condition
            if self.graphs is None:
                predicted = self._step(inputs)
            else:
                predicted = self.graphs.run(inputs[0].shape, self._step, inputs)[:, : n_frames * hop]
            if inside is not None:
                predicted = predicted.where(inside, 0.0)
            return predicted.to(y.dtype)

        return predict_noise

    def condition(self, mel: Mel, frames: Sequence[int]) -> Condition:
        """What a mel means to the network, for items of so many frames; the mask is explicit where it is longer."""
        return self.network.condition(mel, self.network.ends(frames, mel.shape[2]))

    def _step(self, inputs: tuple[Waveform, OneLevel, Condition]) -> Waveform:
        y, noise_level, condition = inputs
        return self.network.step(y, condition, self._levels(noise_level))

    def _levels(self, noise_level: OneLevel) -> tuple[LevelBias, ...]:
        """Those of a GPU are computed at every step: to look at the level, the processor would have to wait."""
        if noise_level.is_cuda:
            return self.network.levels(noise_level)
        return self._kept_levels(noise_level.item(), noise_level.dtype)

    @cached_property
    def _kept_levels(self) -> Callable[[float, torch.dtype], tuple[LevelBias, ...]]:
        """`PreparedNetwork.levels`, once for all calls; threads may share it."""
        levels = self.network.levels
        return lru_cache(KEPT_LEVELS)(lambda level, dtype: levels(torch.tensor([level], dtype=dtype)))


def _is_one_level(noise_level: NoiseLevel) -> bool:
    """Looked at only where the tensor does not say so by its layout: a look makes the processor wait for a GPU."""
    return len(noise_level) == 1 or noise_level.stride(0) == 0 or bool((noise_level == noise_level[0]).all())
