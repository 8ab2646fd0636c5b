"""The engine gives the numbers of the network: alone, in company, in every layout."""

import weakref
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.inference.conftest import Make, inputs, random_network
from wavegrad.inference import Engine
from wavegrad.inference.ends import Ends
from wavegrad.inference.film import LevelBias, PreparedFiLM
from wavegrad.network import NETWORKS

LAYOUTS = {
    "paper": {},
    "large": {"blocks_per_level": 2},
    "reversed dilations": {"ublock_dilations": ((8, 4, 2, 1),) * 3},
    "wide first dilation": {"ublock_dilations": ((5, 1, 1, 1), (3, 1, 1, 1), (2, 1, 1, 1))},
    "nearest": {"downsampling": "nearest"},
    "linear": {"downsampling": "linear", "upsampling": "linear", "ublock_dilations": ((2, 1, 4, 8),) * 3},
    "factor 1": {"factors": (5, 3, 1)},
    "a factor of 7": {"factors": (2, 7, 3)},
    "normalised mel": {"mel_mean": -5.0, "mel_std": 2.5},
}


@pytest.mark.parametrize("fields", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("n_frames", [1, 2, 7, 30])
def test_the_engine_predicts_what_the_network_predicts(make: Make, fields: dict[str, object], n_frames: int) -> None:
    network = make(**fields)
    y, mel, levels = inputs(network, 3, n_frames)
    predict = Engine.prepare(network).bind(mel)
    with torch.inference_mode():
        for level in levels:
            expected = network(y, mel, level.expand(3))
            torch.testing.assert_close(predict(y, level.expand(3)), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("fields", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_items_of_other_lengths_do_not_matter(make: Make, fields: dict[str, object]) -> None:
    network = make(**fields)
    hop, frames = network.config.hop_length, [9, 1, 12, 4]
    y, mel, levels = inputs(network, len(frames), max(frames))
    with torch.inference_mode():
        together = Engine.prepare(network).bind(mel, frames)(y, levels[:1].expand(len(frames)))
        for i, n in enumerate(frames):
            alone = network(y[i : i + 1, : n * hop], mel[i : i + 1, :, :n], levels[:1])
            torch.testing.assert_close(together[i : i + 1, : n * hop], alone, rtol=0, atol=1e-10)
            assert not together[i, n * hop :].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_presets_in_float32(name: str) -> None:
    network = random_network(replace(NETWORKS[name], mel_mean=-5.0))
    y, mel, levels = inputs(network, 1, 3)
    with torch.inference_mode():
        expected, found = network(y, mel, levels), Engine.prepare(network).bind(mel)(y, levels)
    assert (found - expected).norm() / expected.norm() < 1e-5


def test_noise_levels_are_compared_only_where_their_layout_leaves_it_open(make: Make) -> None:
    network = make()
    y, mel, levels = inputs(network, 2, 3)
    predict = Engine.prepare(network).bind(mel)
    with torch.inference_mode():
        predict(y, levels[:1].expand(2).clone())
        with pytest.raises(ValueError, match="the engine takes one for the whole batch"):
            predict(y, torch.tensor([0.5, 0.25]))


def test_constants_of_a_noise_level_are_computed_once(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """For all mels; and a level that was rounded to float32 is another one, as is its embedding."""
    network, computed, original = make(), [], PreparedFiLM.at
    y, mel, levels = inputs(network, 1, 3)
    engine, rounded = Engine.prepare(network), levels.float()

    def watched(film: PreparedFiLM, noise_level: Tensor) -> LevelBias:
        computed.append(noise_level.item())
        return original(film, noise_level)

    monkeypatch.setattr(PreparedFiLM, "at", watched)
    with torch.inference_mode():
        for other in (mel, mel + 1):
            predict = engine.bind(other)
            predict(y, rounded)
            for level in (levels, levels / 2, rounded.double()):
                torch.testing.assert_close(predict(y, level), network(y, other, level), rtol=0, atol=1e-10)
    assert len(computed) == 4 * len(network.films)


def test_scales_and_shifts_of_one_level_at_a_time(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the largest tensors of a step."""
    network = make()
    y, mel, levels = inputs(network, 1, 3)
    predict, original = Engine.prepare(network).bind(mel), PreparedFiLM.__call__
    made: list[weakref.ref[Tensor]] = []

    def watched(film: PreparedFiLM, x: Tensor, level: LevelBias, ends: Ends) -> Tensor:
        assert not any(earlier() is not None for earlier in made)
        out = original(film, x, level, ends)
        made.append(weakref.ref(out))
        return out

    monkeypatch.setattr(PreparedFiLM, "__call__", watched)
    with torch.inference_mode():
        predict(y, levels[:1])
    assert len(made) == len(network.films)
