"""Fine-tuning: which weights a new run starts from."""

from dataclasses import replace

import pytest
import torch

from tests.training.conftest import SPEECH, change
from wavegrad.checkpoint import Model, load_model
from wavegrad.errors import ConfigError
from wavegrad.network import WaveGrad, network_preset
from wavegrad.training.init_from import init_from
from wavegrad.training.loop import train
from wavegrad.training.trainer import Trainer
from wavegrad.vocoder import Vocoder, standard_schedules


@pytest.fixture
def model(recipe) -> Model:
    torch.manual_seed(5)
    network = WaveGrad(recipe.model.network_config())
    prior = recipe.model.prior
    return Model(recipe.model.mel_config(), network, prior, standard_schedules(prior), "6", "")


def test_all_weights_and_the_average_are_those_of_the_model(recipe, clips, model):
    said: list[str] = []
    trainer = Trainer(recipe, clips, initialise=lambda n: init_from(n, model, recipe.model, said.append))
    for network in (trainer.network, trainer.ema.network):
        for name, weight in network.state_dict().items():
            assert torch.equal(weight, model.network.state_dict()[name]), name
    assert len(said) == 1
    assert said[0].startswith("starting from")


def test_layers_of_another_shape_are_new_and_named(recipe, model):
    """Other mel bands: the first convolution cannot be taken over; the rest can."""
    target = replace(recipe.model, mel="hifigan-22k")
    network = WaveGrad(target.network_config())
    fresh = {k: v.clone() for k, v in network.state_dict().items()}
    said: list[str] = []
    init_from(network, model, target, said.append)
    new = [line for line in said if line.startswith("new, random weights: ")]
    assert len(new) >= 1
    assert any("mel_conv.weight, " in line and "80" in line and "128" in line for line in new)
    named = {line.split(": ")[1].split(",")[0] for line in new}
    for name, weight in network.state_dict().items():
        expected = fresh[name] if name in named else model.network.state_dict()[name]
        assert torch.equal(weight, expected), name
    assert any("the front-end differs" in line and "sample_rate 24000 -> 22050" in line for line in said)


def test_what_equal_shapes_hide_is_said(recipe, model):
    """A template's mel_mean = 0 used to feed the old weights another mel, without a word."""
    target = replace(recipe.model, mel_mean=0.0)
    network = WaveGrad(replace(target.network_config(), leaky_slope=0.1, step_levels=(0.9, 0.5)))
    old = replace(model, network=WaveGrad(replace(model.network.config, null_condition=True)))
    said: list[str] = []
    init_from(network, old, target, said.append)
    assert said[1:] == [
        "left behind: null_mel, (128,) there, not here",
        "the network differs, training must make up for it: mel_mean -5.7 -> 0.0, leaky_slope 0.2 -> 0.1, conditioning "
        "'level' -> 'index'",
    ]


def test_another_network_is_refused(recipe, model):
    other = replace(model, network=WaveGrad(network_preset("small")))
    with pytest.raises(ConfigError, match=r"of the 47,197 weights .* \(tiny\) only [\d,]+ have their shape"):
        init_from(WaveGrad(recipe.model.network_config()), other, recipe.model, print)


def test_a_run_starts_from_a_model_directory_and_resumes_from_its_own_checkpoint(recipe, tmp_path):
    recipe = change(recipe, "run", steps=2)
    torch.manual_seed(9)
    start = Vocoder(recipe.model.mel_config(), WaveGrad(recipe.model.network_config()), recipe.model.prior)
    start.save_pretrained(tmp_path / "start")
    said: list[str] = []
    recipe = change(recipe, "optimizer", learning_rate=1e-9)
    train(recipe, SPEECH, tmp_path / "run", say=said.append, start=tmp_path / "start")
    assert any(line.startswith("starting from") for line in said)
    tuned = load_model(tmp_path / "run" / "last").network.state_dict()
    for name, weight in start.network.state_dict().items():
        torch.testing.assert_close(tuned[name], weight, rtol=0, atol=1e-6)
    said.clear()
    train(change(recipe, "run", steps=3), SPEECH, tmp_path / "run", say=said.append, start=tmp_path / "start")
    assert any(line.startswith("resuming at step 2") for line in said)
    assert not any(line.startswith("starting from") for line in said)
