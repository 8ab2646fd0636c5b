"""The WaveGrad network: mel spectrogram, noisy waveform and noise level in, noise out."""

import torch
from torch import nn

from wavegrad.errors import ConfigError
from wavegrad.network.config import WaveGradConfig
from wavegrad.network.conv import Conv, channels_last
from wavegrad.network.dblock import DBlock
from wavegrad.network.film import FiLM
from wavegrad.network.ublock import UBlock
from wavegrad.shapes import Feature, Mel, NoiseLevel, Waveform


class WaveGrad(nn.Module):
    """epsilon_theta(y, x, sqrt(alpha_bar)) of WaveGrad (Chen et al. 2021, arXiv 2009.00713, fig. 2).

    The waveform goes down through DBlocks, each level of it tells a FiLM how to modulate the UBlock of the same rate,
    and the UBlocks take the mel up to samples.

    All convolutions of UBlocks and DBlocks start orthogonal (the paper), those of FiLM as described there. The paper
    leaves the other three open: they start as in `torch.nn.Conv1d`.
    """

    def __init__(self, config: WaveGradConfig):
        super().__init__()
        self.config = config
        c = config
        down_factors = tuple(reversed(c.factors))[:-1]
        down_widths = (c.waveform_channels, *c.dblock_channels)
        up_widths = (c.mel_channels, *c.ublock_channels)
        self.waveform_conv = Conv(1, c.waveform_channels, 5)
        self.mel_conv = Conv(c.n_mels, c.mel_channels, 3)
        self.dblocks = nn.ModuleList(
            self._down(n_in, n_out, factor)
            for n_in, n_out, factor in zip(down_widths, c.dblock_channels, down_factors, strict=False)
        )
        self.films = nn.ModuleList(
            FiLM(n_in, n_out, n_in, c.level_scale, c.leaky_slope, c.step_levels)
            for n_in, n_out in zip(down_widths, reversed(c.ublock_channels), strict=True)
        )
        self.ublocks = nn.ModuleList(
            self._up(n_in, n_out, factor, dilations)
            for n_in, n_out, factor, dilations in zip(
                up_widths, c.ublock_channels, c.factors, c.ublock_dilations, strict=False
            )
        )
        self.output_conv = Conv(c.ublock_channels[-1], 2 if c.learned_variance else 1, 3)
        null_mel = nn.Parameter(torch.full((c.n_mels,), c.mel_mean)) if c.null_condition else None
        self.null_mel = null_mel

    def _down(self, n_in: int, n_out: int, factor: int) -> nn.Sequential:
        c = self.config
        shapes = [(n_in, factor)] + [(n_out, 1)] * (c.blocks_per_level - 1)
        return nn.Sequential(
            *(DBlock(n, n_out, f, c.dblock_dilations, c.downsampling, c.leaky_slope) for n, f in shapes)
        )

    def _up(self, n_in: int, n_out: int, factor: int, dilations: tuple[int, int, int, int]) -> nn.ModuleList:
        c = self.config
        shapes = [(n_in, factor)] + [(n_out, 1)] * (c.blocks_per_level - 1)
        return nn.ModuleList(UBlock(n, n_out, f, dilations, c.upsampling, c.leaky_slope) for n, f in shapes)

    def forward(self, y: Waveform, mel: Mel, noise_level: NoiseLevel) -> Waveform:
        """Predict the noise in `y`.

        Args:
            y: noisy waveform, `batch time`, time = frames * hop_length.
            mel: condition, `batch n_mels frames`, normalised as in training.
            noise_level: sqrt(alpha_bar) of each item, in (0, 1].

        Raises:
            ValueError: the lengths of `y` and `mel` do not belong together, or the band count is another.
        """
        return self._outputs(y, mel, noise_level)[:, 0]

    def noise_and_variance(self, y: Waveform, mel: Mel, noise_level: NoiseLevel) -> tuple[Waveform, Waveform]:
        """The noise in `y`, and v in (0, 1): the share of log beta in the log-variance (Nichol and Dhariwal 2021, eq.
        15).

        Differs from the paper: a sigmoid keeps v inside its bounds, where the paper trusts the network with it.

        Raises:
            ConfigError: the network has no learned variance.
            ValueError: as in `forward`.
        """
        self.check_learned_variance()
        outputs = self._outputs(y, mel, noise_level)
        return outputs[:, 0], outputs[:, 1].float().sigmoid()

    def check_learned_variance(self) -> None:
        """Raise ConfigError unless the network has one."""
        if not self.config.learned_variance:
            raise ConfigError("this model has no learned variance; train it with objective.learned_variance = true")

    def no_condition(self, mel: Mel) -> Mel:
        """The mel that stands for "no condition", in the shape of `mel`.

        Raises:
            ConfigError: the network was not trained with dropped conditions.
        """
        if self.null_mel is None:
            raise ConfigError("this model was trained without dropped conditions; set objective.condition_dropout")
        return self.null_mel[:, None].expand_as(mel)

    def _outputs(self, y: Waveform, mel: Mel, noise_level: NoiseLevel) -> Feature:
        """`batch 1 time`, or `batch 2 time` with a learned variance."""
        self._check(y, mel)
        h = channels_last(self.waveform_conv(y.unsqueeze(1)))
        films = [self.films[0](h, noise_level)]
        for dblock, film in zip(self.dblocks, self.films[1:], strict=True):
            h = dblock(h)
            films.append(film(h, noise_level))
        u = self.mel_conv(channels_last((mel - self.config.mel_mean) / self.config.mel_std))
        for level, film in zip(self.ublocks, reversed(films), strict=True):
            assert isinstance(level, nn.ModuleList)
            for ublock in level:
                u = ublock(u, film)
        return self.output_conv(u)

    def _check(self, y: torch.Tensor, mel: torch.Tensor) -> None:
        if mel.shape[1] != self.config.n_mels:
            raise ValueError(f"the mel has {mel.shape[1]} bands, the network was made for {self.config.n_mels}")
        if y.shape[1] != mel.shape[2] * self.config.hop_length:
            raise ValueError(
                f"{y.shape[1]} samples do not belong to {mel.shape[2]} frames of {self.config.hop_length} samples "
                f"({mel.shape[2] * self.config.hop_length} samples)"
            )
