"""What a WaveGrad network is made of."""

import math
from dataclasses import dataclass
from typing import get_args

from wavegrad.errors import ConfigError, unknown
from wavegrad.network.conv import Resampling
from wavegrad.network.dblock import Downsampling

Dilations = tuple[int, int, int, int]


@dataclass(frozen=True)
class WaveGradConfig:
    """Layout of the network (WaveGrad, appendix A); the defaults are the paper's Base, 24 kHz and 12.5 ms frames.

    Raises:
        ConfigError: nonsense, with the value in it.
    """

    n_mels: int = 128
    """Mel bands of the condition."""
    mel_mean: float = 0.0
    """Subtracted from the mel before the first convolution. The paper leaves the scaling of its features open."""
    mel_std: float = 1.0
    """Divides the mel, after `mel_mean` was subtracted."""
    factors: tuple[int, ...] = (5, 5, 3, 2, 2)
    """Upsampling factors of the UBlocks, from frames to samples; their product is the hop length."""
    mel_channels: int = 768
    """Channels of the convolution that reads the mel."""
    waveform_channels: int = 32
    """Channels of the convolution that reads the noisy waveform."""
    ublock_channels: tuple[int, ...] = (512, 512, 256, 128, 128)
    """One width for each factor."""
    dblock_channels: tuple[int, ...] = (128, 128, 256, 512)
    """One width for each factor but the first, from samples to frames."""
    ublock_dilations: tuple[Dilations, ...] = ((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 1, 2), (1, 2, 1, 2))
    """Dilations of the four convolutions of each UBlock. The public re-implementations have them in reverse order."""
    dblock_dilations: tuple[int, int, int] = (1, 2, 4)
    """Dilations of the main branch of every DBlock; a strided first convolution has none."""
    blocks_per_level: int = 1
    """2 is the paper's Large: every block is followed by one of the same width that does not resample."""
    level_scale: float = 5000.0
    """C: what sqrt(alpha_bar) is multiplied by before the sinusoids. lmnt-com/wavegrad: 1."""
    downsampling: Downsampling = "strided"
    """"strided" is the paper's. "nearest": lmnt-com/wavegrad. "linear": ivanvovk/WaveGrad."""
    upsampling: Resampling = "nearest"
    """"nearest" is the paper's. "linear": ivanvovk/WaveGrad."""
    leaky_slope: float = 0.2
    """Negative slope of every LeakyReLU. The paper leaves it open."""
    step_levels: tuple[float, ...] | None = None
    """sqrt(alpha_bar_n) of steps 1 ... N of the training schedule: with them the network is told the index n (DDPM; the
    paper's ablation). None: it is told the level itself."""
    learned_variance: bool = False
    """A second output v, the network's own choice of the variance (Nichol and Dhariwal 2021, eq. 15)."""
    null_condition: bool = False
    """A learned mel that stands for "no condition" (Ho and Salimans 2022), for models trained with dropped ones."""

    def __post_init__(self) -> None:
        self._check_counts()
        widths = (self.mel_channels, self.waveform_channels, *self.ublock_channels, *self.dblock_channels)
        if min(widths) < 1 or any(c % 2 for c in (self.waveform_channels, *self.dblock_channels)):
            raise ConfigError(
                f"channels are {widths}; they must be positive, and even where the noise level is embedded"
            )
        if min(d for dilations in (*self.ublock_dilations, self.dblock_dilations) for d in dilations) < 1:
            raise ConfigError(
                f"dilations are {self.ublock_dilations} and {self.dblock_dilations}; each must be 1 or more"
            )
        for name, choices in (("downsampling", Downsampling), ("upsampling", Resampling)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(unknown(name, getattr(self, name), get_args(choices)))
        if not math.isfinite(self.mel_mean):
            raise ConfigError(f"mel_mean is {self.mel_mean}; it must be finite")
        for name in ("mel_std", "level_scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be above 0 and finite")
        if not 0 <= self.leaky_slope < 1:
            raise ConfigError(f"leaky_slope is {self.leaky_slope}; it must lie in [0, 1)")
        if self.step_levels is not None:
            _check_step_levels(self.step_levels)

    def _check_counts(self) -> None:
        n_levels = len(self.factors)
        if n_levels < 2 or min(self.factors) < 1:
            raise ConfigError(f"factors are {self.factors}; at least two are needed, each 1 or more")
        lengths = {"ublock_channels": n_levels, "ublock_dilations": n_levels, "dblock_channels": n_levels - 1}
        for name, wanted in lengths.items():
            if len(getattr(self, name)) != wanted:
                raise ConfigError(f"{name} has {len(getattr(self, name))} entries; {n_levels} factors need {wanted}")
        for name in ("n_mels", "blocks_per_level"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")

    @property
    def hop_length(self) -> int:
        """Samples per frame: the product of the factors."""
        return math.prod(self.factors)

    def check_hop(self, hop_length: int) -> None:
        """Raise ConfigError unless the network makes exactly `hop_length` samples of every frame."""
        if self.hop_length != hop_length:
            product = " x ".join(map(str, self.factors))
            raise ConfigError(
                f"factors {product} = {self.hop_length} samples per frame, but the mel has a hop of {hop_length}; "
                "choose factors whose product is the hop length"
            )


def _check_step_levels(levels: tuple[float, ...]) -> None:
    outer = (1.0, *levels)
    for n, (inner, level) in enumerate(zip(outer, levels, strict=False), start=1):
        if not 0 < level < inner:
            raise ConfigError(f"step_levels: level {n} is {level}; it must lie between 0 and {inner}, both excluded")
    if not levels:
        raise ConfigError("step_levels is empty; leave it out for a network that is told the level itself")
