"""The fast engine: a network prepared once, bound to a mel, called by any sampler."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from wavegrad.device import Precision
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, NoiseLevel, PredictNoise, Waveform

DTYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Engine:
    """The network of a vocoder, rewritten for inference: the same numbers to rounding, fewer operations.

    What changes and why the result does not: `UpsampledConvolution` (products before the upsampling), `PreparedFiLM`
    (the noise level as a bias), `PreparedDBlock` (1x1 after the downsampling), `Condition` (the mel's part, once). Each
    has its equality test. Only the network runs in another precision than float32; what comes out is float32 (or
    float64, for a float64 network).
    """

    network: PreparedNetwork

    @classmethod
    def prepare(cls, network: WaveGrad, precision: Precision = "float32") -> "Engine":
        """Copy and lay out the weights, on the device that they are on.

        Args:
            network: left as it is; later changes to it do not reach the engine.
            precision: of the arithmetic; a float64 network stays in float64 where float32 is asked for.
        """
        own = next(network.parameters()).dtype
        dtype = torch.float64 if own == torch.float64 and precision == "float32" else DTYPES[precision]
        return cls(PreparedNetwork.prepare(network, dtype))

    def bind(self, mel: Mel, frames: Sequence[int] | None = None) -> PredictNoise:
        """epsilon_theta(y, noise_level) for a mel.

        Args:
            mel: `batch n_mels frames`; beyond the end of an item any finite values.
            frames: of each item, the largest of them the length of the batch; left out, all are of that length. Each
                item gets what it would get alone; beyond its end the prediction is zero.

        Returns:
            A function of `batch time` and ` batch`, all of one noise level, as samplers have it.

        Raises:
            ValueError: the lengths of `y` and `mel` do not belong together, or (when called) several noise levels.
        """
        frames = [mel.shape[2]] * len(mel) if frames is None else list(frames)
        if len(frames) != len(mel) or max(frames) != mel.shape[2] or min(frames) < 1:
            raise ValueError(f"{frames} frames do not belong to a batch of {len(mel)} x {mel.shape[2]}")
        condition = self.network.condition(mel, self.network.ends(frames))
        mask = condition.ends[-1].mask
        n_samples = mel.shape[2] * self.network.config.hop_length

        def predict_noise(y: Waveform, noise_level: NoiseLevel) -> Waveform:
            if y.shape != (len(mel), n_samples):
                raise ValueError(f"y is {tuple(y.shape)}, the mel was bound for {(len(mel), n_samples)}")
            if len(set(noise_level.tolist())) > 1:
                raise ValueError(f"noise levels {noise_level.tolist()}; the engine takes one for the whole batch")
            predicted = self.network.step(y, condition, self.network.levels(noise_level[:1])).to(y.dtype)
            return predicted if mask is None else predicted.where(mask[:, :, 0] > 0, 0.0)

        return predict_noise
