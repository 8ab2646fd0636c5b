"""The mels of whole clips, computed once: a crop's mel at any gain is then a read and an addition."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int16
from torch import Tensor

from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.errors import ConfigError
from wavegrad.shapes import Mel

LEAST = 1e-30
"""Band value that stands for nothing at all: far below every floor, so that a gain may lift what a floor would hide."""


def raw_config(config: MelConfig) -> MelConfig:
    """The same bands, their plain logarithm, without floor and normalisation."""
    return replace(
        config, log="ln", floor=LEAST, reference_level=0.0, scale=1.0, offset=0.0, clamp_min=None, clamp_max=None
    )


def check_gain(config: MelConfig, gain_db: tuple[float, float]) -> None:
    """Raise ConfigError where a gain is no factor of the bands."""
    if config.magnitude_epsilon > 0 and gain_db != (0.0, 0.0):
        raise ConfigError(
            f"run.whole_mels: the front-end adds {config.magnitude_epsilon} to the power of every bin, so the mel of a "
            "louder crop cannot be told from the crop's; set run.whole_mels = false or data.gain_db = [0.0, 0.0]"
        )


@torch.no_grad()
def raw_mels(
    clips: Sequence[Int16[Tensor, " _"]], config: MelConfig, context: int, device: torch.device
) -> list[Float[Tensor, "_ n_mels"]]:
    """Raw log bands of each clip and of the `context` samples of silence on both sides of it, on the CPU.

    With that silence the frames are those of the crops' own windows, at the ends of a clip too.
    """
    front_end, hop = MelSpectrogram(raw_config(config)).to(device), config.hop_length
    mels = []
    for pcm in clips:
        n_frames = math.ceil(len(pcm) / hop) + 2 * (context // hop)
        padded = F.pad(pcm.to(device).float() / 32767, (context, context + -len(pcm) % hop))
        mels.append(front_end(padded[None])[0, :, :n_frames].T.cpu())
    return mels


def at_gain(raw: Mel, gains: Float[Tensor, " batch"], config: MelConfig) -> Mel:
    """The mel in the convention of `config` of crops that are `gains` times as loud."""
    louder = (raw + config.power * gains.log()[:, None, None]).clamp(min=math.log(config.floor))
    mel = (louder * config.units_per_neper - config.reference_level) * config.scale + config.offset
    if config.clamp_min is not None or config.clamp_max is not None:
        mel = mel.clamp(config.clamp_min, config.clamp_max)
    return mel
