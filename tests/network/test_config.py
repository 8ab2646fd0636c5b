"""Configurations and presets of the network: what makes no sense is refused with the value in it."""

import math
from dataclasses import replace

import pytest

from wavegrad.config import from_dict, to_dict
from wavegrad.errors import ConfigError
from wavegrad.network import NETWORKS, WaveGradConfig, network_preset
from wavegrad.network.presets import FACTORS


def test_the_default_is_the_papers_base() -> None:
    """WaveGrad, appendix A."""
    c = WaveGradConfig()
    assert c == NETWORKS["base"]
    assert (c.factors, c.hop_length, c.n_mels, c.level_scale) == ((5, 5, 3, 2, 2), 300, 128, 5000)
    assert c.ublock_dilations == ((1, 2, 4, 8),) * 3 + ((1, 2, 1, 2),) * 2
    assert (c.mel_channels, c.ublock_channels) == (768, (512, 512, 256, 128, 128))
    assert (c.waveform_channels, c.dblock_channels, c.dblock_dilations) == (32, (128, 128, 256, 512), (1, 2, 4))
    assert (c.downsampling, c.upsampling) == ("strided", "nearest")
    assert NETWORKS["large"].blocks_per_level == 2
    assert NETWORKS["large"].ublock_dilations == ((1, 2, 4, 8),) * 5


@pytest.mark.parametrize("hop", FACTORS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_preset_fits_every_hop(name: str, hop: int) -> None:
    config = network_preset(name, n_mels=80, hop_length=hop)
    assert (config.hop_length, config.n_mels) == (hop, 80)
    assert from_dict(WaveGradConfig, to_dict(config), "config.json") == config


def test_factors_are_chosen_by_hop_or_taken_as_they_are() -> None:
    assert network_preset("base").factors == (5, 5, 3, 2, 2)
    assert network_preset("base", hop_length=256).factors == (4, 4, 4, 2, 2)
    assert network_preset("tiny", factors=(2, 2, 2, 2, 2)).hop_length == 32


def test_factors_and_hop_that_differ_are_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigError, match=r"5 x 5 x 3 x 2 x 2 = 300 samples .* hop of 256; choose factors"):
        network_preset("base", factors=(5, 5, 3, 2, 2), hop_length=256)
    with pytest.raises(ConfigError, match=r"= 300 samples .* hop of 275"):
        WaveGradConfig().check_hop(275)
    with pytest.raises(ConfigError, match=r"no factors are known for a hop of 275; pass five factors .* 275"):
        network_preset("base", hop_length=275)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown network 'bse': did you mean 'base'"):
        network_preset("bse")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"factors": (300,)}, r"factors are \(300,\); at least two"),
        ({"factors": (5, 5, 3, 2, 0)}, r"each 1 or more"),
        ({"factors": (5, 5, 3, 4)}, r"ublock_channels has 5 entries; 4 factors need 4"),
        ({"dblock_channels": (128, 128)}, r"dblock_channels has 2 entries; 5 factors need 4"),
        ({"ublock_dilations": ((1, 2, 4, 8),)}, r"ublock_dilations has 1 entries"),
        ({"ublock_dilations": ((1, 2, 4, 0),) * 5}, r"dilations are .*; each must be 1 or more"),
        ({"dblock_dilations": (1, -2, 4)}, r"dilations are .*\(1, -2, 4\)"),
        ({"mel_channels": 0}, r"channels are \(0, 32"),
        ({"waveform_channels": 7}, r"even where the noise level is embedded"),
        ({"dblock_channels": (128, 127, 256, 512)}, r"even where the noise level is embedded"),
        ({"blocks_per_level": 0}, r"blocks_per_level is 0; it must be 1 or more"),
        ({"n_mels": 0}, r"n_mels is 0"),
        ({"mel_std": 0.0}, r"mel_std is 0\.0; it must be above 0"),
        ({"mel_std": math.nan}, r"mel_std is nan"),
        ({"mel_mean": math.inf}, r"mel_mean is inf"),
        ({"level_scale": -1.0}, r"level_scale is -1\.0"),
        ({"leaky_slope": 1.0}, r"leaky_slope is 1\.0; it must lie in \[0, 1\)"),
    ],
)
def test_nonsense_is_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        replace(WaveGradConfig(), **fields)


@pytest.mark.parametrize("field", ["upsampling", "downsampling"])
def test_an_unknown_way_of_resampling_is_refused(field: str) -> None:
    """As a table: in the tests, types are checked before the constructor is entered."""
    with pytest.raises(ConfigError, match=rf"key {field}: unknown value 'linaer': did you mean 'linear'"):
        from_dict(WaveGradConfig, {field: "linaer"}, "recipe.toml")
