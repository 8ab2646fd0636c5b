"""The options that make a step faster: none of them changes what is learned."""

import dataclasses

import pytest
import torch

from tests.training.conftest import change
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.presets import MEL_PRESETS
from wavegrad.errors import ConfigError
from wavegrad.training import clip_mels
from wavegrad.training.benchmark import ON_CPU, SWITCHES
from wavegrad.training.data import CropSampler
from wavegrad.training.optimizer import build_optimizer, update
from wavegrad.training.prefetch import Prefetch
from wavegrad.training.step import Preprocessor
from wavegrad.training.trainer import Trainer

OFF, ON = ({key: SWITCHES[key][i] for key in ON_CPU} for i in (0, 1))


def curve(recipe, clips, options, n_steps: int) -> torch.Tensor:
    """Losses of the first steps of a run of 200.

    Its learning rate is a quarter of the recipe's: with that, runs whose sums are only in another order come apart by
    up to 10 %, and the curves would say nothing.
    """
    recipe = change(change(recipe, "optimizer", learning_rate=5e-4), "run", steps=200, **options)
    trainer = Trainer(recipe, clips)
    return torch.stack([trainer.train_step().loss for _ in range(n_steps)])


@pytest.mark.timeout(300)
def test_everything_on_learns_what_everything_off_does(recipe, clips):
    """200 seeded steps on the CPU (test_gpu.py has as many on a GPU): the means over 20 agree within 1 %, then 5 %.

    Measured with ten seeds on a processor with AVX512-BF16: 0.24 % in the first 20 steps, then at most 2.9 %; in
    float32, where only roundings differ, 0.03 % over 40 steps, 1.1 % over all. Where bfloat16 is emulated (AVX-512 and
    AVX2, three seeds each): 0.09 %, then 1.3 %. This seed, 0: 0.02 % to 0.05 %, then 0.35 % to 0.94 %.
    """
    off, on = (curve(recipe, clips, options, 200) for options in (OFF, ON))
    exact = curve(recipe, clips, {**ON, "precision": "float32"}, 40)
    off_means, on_means, exact_means = (losses.unflatten(0, (-1, 20)).mean(1) for losses in (off, on, exact))
    torch.testing.assert_close(on_means[0], off_means[0], rtol=0.01, atol=0)
    torch.testing.assert_close(on_means, off_means, rtol=0.05, atol=0)
    torch.testing.assert_close(exact_means, off_means[:2], rtol=1e-3, atol=0)
    assert not torch.equal(on[:40], exact)
    assert not torch.equal(exact, off[:40])
    assert off_means[-1] < 0.7 * off_means[0], "nothing was learned, so nothing was compared"


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_layout_of_memory_is_what_the_key_says(recipe, clips, channels_last):
    """What the last UBlock gets has neighbouring channels, or neighbouring samples; the gradients agree."""
    trainers = [Trainer(change(recipe, "run", channels_last=on), clips) for on in (channels_last, not channels_last)]
    seen = []
    trainers[0].network.ublocks[-1][0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    reports = [trainer.train_step() for trainer in trainers]
    channel_stride, time_stride = seen[0].stride()[1:]
    assert (channel_stride < time_stride) is channels_last
    torch.testing.assert_close(reports[0].loss, reports[1].loss, rtol=1e-5, atol=0)
    for a, b in zip(trainers[0].network.parameters(), trainers[1].network.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-5)
    assert trainers[0].state().network.keys() == trainers[1].state().network.keys()


@pytest.mark.parametrize("gain_db", [(0.0, 0.0), (-15.0, 10.0)])
def test_the_mels_of_whole_clips_give_the_examples_of_the_crops(recipe, clips, gain_db):
    """At the ends of clips too, and of a clip that is shorter than a crop; float32 of a logarithm."""
    short = [*clips[:2], dataclasses.replace(clips[2], pcm=clips[2].pcm[5000:5700])]
    recipe = change(recipe, "data", gain_db=gain_db, batch_size=64, crop_frames=40)
    config = recipe.model.mel_config()
    samplers = [CropSampler(short, config, recipe.data, 0, whole_mels=whole) for whole in (False, True)]
    preprocess = Preprocessor(config, recipe.model.prior, samplers[0].context, torch.device("cpu"))
    each, whole = (preprocess(sampler.draw(0)) for sampler in samplers)
    torch.testing.assert_close(whole.mel, each.mel, rtol=0, atol=2e-4)
    torch.testing.assert_close(whole.y_0, each.y_0, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["wavegrad-24k", "lmnt-24k", "ivanvovk-22k", "vocos-24k", "speecht5-16k"])
def test_a_gain_is_an_addition_in_every_convention(name):
    """Against the mel of the louder waveform; powers, decibels, clamps and normalisations included (float64)."""
    config: MelConfig = MEL_PRESETS[name].config
    waveform = 0.01 * torch.randn(1, 20 * config.hop_length, generator=torch.Generator().manual_seed(0)).double()
    waveform[:, : 8 * config.hop_length] *= 1e-6  # near the floor
    for gain in (0.05, 1.0, 40.0):
        raw = clip_mels.MelSpectrogram(clip_mels.raw_config(config))(waveform)
        expected = clip_mels.MelSpectrogram(config)(gain * waveform)
        got = clip_mels.at_gain(raw, torch.tensor([gain]).double().float(), config)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-5)


def test_a_front_end_in_which_a_gain_is_no_factor_is_refused(recipe, clips):
    recipe = change(change(recipe, "model", mel="hifigan-22k"), "run", whole_mels=True)
    with pytest.raises(ConfigError, match=r"run\.whole_mels: .* adds 1e-09 .* or data\.gain_db = \[0\.0, 0\.0\]"):
        Trainer(recipe, clips)
    Trainer(change(recipe, "data", gain_db=(0.0, 0.0)), clips)


def test_prefetched_crops_are_the_crops_and_are_drawn_ahead(recipe, clips):
    sampler = CropSampler(clips, recipe.model.mel_config(), recipe.data, seed=0)
    drawn: list[tuple[int, int, int]] = []

    def draw(*key: int):
        drawn.append(key)
        return sampler.draw(*key)

    prefetch = Prefetch(draw, ahead=2, pin=False)
    for step in (3, 4, 5, 9, 2):  # also jumps, as after a resumed or repeated step
        for part in range(2):
            crops, expected = prefetch(step, part, 2), sampler.draw(step, part, 2)
            assert crops.names == expected.names
            assert torch.equal(crops.windows, expected.windows)
        if step == 5:
            assert len(drawn) == len(set(drawn))  # nothing was drawn twice
    prefetch(20, 0, 2)
    prefetch._thread.shutdown(wait=True)
    assert {(21, 0, 2), (22, 0, 2)} <= set(drawn)


@pytest.mark.parametrize("fused", [True, False])
def test_a_step_that_is_skipped_changes_nothing(recipe, fused):
    """Fused or not: neither weights nor moments nor the count of steps."""
    weight = torch.nn.Linear(3, 1)
    optimizer = build_optimizer(weight, recipe.optimizer, fused)
    for skip in (0.0, 1.0, 0.0):
        before = weight.weight.detach().clone()
        optimizer.zero_grad()
        weight(torch.ones(1, 3)).sum().backward()
        update(optimizer, 0.1, torch.tensor(skip))
        assert torch.equal(before, weight.weight) is bool(skip)
    assert {state["step"].item() for state in optimizer.state.values()} == {2.0}
