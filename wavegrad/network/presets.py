"""Named sizes of the network, for any mel front-end."""

from dataclasses import replace

from wavegrad.errors import ConfigError, unknown
from wavegrad.network.config import WaveGradConfig

BASE = WaveGradConfig()

NETWORKS: dict[str, WaveGradConfig] = {
    "base": BASE,
    "large": replace(BASE, blocks_per_level=2, ublock_dilations=((1, 2, 4, 8),) * 5),
    "small": replace(
        BASE,
        mel_channels=384,
        waveform_channels=16,
        ublock_channels=(256, 128, 64, 48, 32),
        dblock_channels=(32, 48, 64, 128),
    ),
    "tiny": replace(
        BASE, mel_channels=32, waveform_channels=4, ublock_channels=(32, 16, 16, 8, 8), dblock_channels=(8, 8, 8, 16)
    ),
}
"""base, large: the paper's; 16.5 and 28.2 million parameters at 128 bands (as reported: about 15 and 23 million, but
the kernels of the strided convolutions are not known). small: 2.1 million and 9 % of Base's operations, for CPUs.
tiny: 47 thousand, for tests."""

FACTORS: dict[int, tuple[int, ...]] = {
    200: (5, 5, 2, 2, 2),
    256: (4, 4, 4, 2, 2),
    300: (5, 5, 3, 2, 2),
    441: (7, 7, 3, 3, 1),
    480: (5, 4, 4, 3, 2),
    512: (4, 4, 4, 4, 2),
    600: (5, 5, 4, 3, 2),
}
"""Upsampling factors for the usual hop lengths, large ones first as in the paper: 200 (16 kHz), 256 (16 to 24 kHz),
300 (24 kHz), 441 (44.1 kHz, 10 ms), 480 (48 kHz, 10 ms), 512 (44.1 and 48 kHz), 600 (48 kHz, 12.5 ms)."""


def network_preset(
    name: str, n_mels: int = 128, factors: tuple[int, ...] | None = None, hop_length: int | None = None
) -> WaveGradConfig:
    """The configuration called `name` ("base", "large", "small", "tiny") for a front-end.

    Args:
        name: one of NETWORKS.
        n_mels: bands of the mel.
        factors: five upsampling factors; left out, those of FACTORS for `hop_length` (300 when that is left out too).
        hop_length: samples per frame; checked against the product of `factors`.

    Raises:
        ConfigError: unknown name, a hop length without known factors, or factors with another product.
    """
    if name not in NETWORKS:
        raise ConfigError(unknown("network", name, NETWORKS))
    if factors is None:
        hop = 300 if hop_length is None else hop_length
        if hop not in FACTORS:
            raise ConfigError(f"no factors are known for a hop of {hop}; pass five factors whose product is {hop}")
        factors = FACTORS[hop]
    config = replace(NETWORKS[name], n_mels=n_mels, factors=factors)
    if hop_length is not None:
        config.check_hop(hop_length)
    return config
