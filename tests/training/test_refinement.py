"""The loss of what the network itself makes: it is what a vocoder would make, and the gradient is that of all steps."""

import json
import math
from dataclasses import replace

import pytest
import torch

from tests.training.conftest import ROOT, SPEECH
from wavegrad.audio.mel import MelSpectrogram
from wavegrad.audio.prior import colour
from wavegrad.audio.spectral_distance import SpectralDistance
from wavegrad.diffusion import seeded_noise
from wavegrad.diffusion.samplers.static_walk import noise_indices
from wavegrad.errors import ConfigError, WavegradError
from wavegrad.network import WaveGrad
from wavegrad.training.benchmark import gflop_of_step
from wavegrad.training.loop import train
from wavegrad.training.objective import Objective
from wavegrad.training.recipe import Recipe, load_recipe
from wavegrad.training.refinement import RefinementLoss
from wavegrad.training.state import load_state, save_state
from wavegrad.training.trainer import Trainer
from wavegrad.training.validation import Validation
from wavegrad.vocoder import Vocoder

SMALL = ["data.crop_frames=8", "data.batch_size=4", "run.steps=24", "run.valid_synthesis=0"]
SMALL += ["run.device=cpu", "run.precision=float32"]
ON = ["refinement.weight=0.3", "refinement.steps=[3]", "refinement.every=2"]
PRIORS = [["model.prior.kind=spectral"], []]


def small(*overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "recipes" / "tiny.toml"), [*SMALL, *ON, *overrides])


def calm(network: WaveGrad) -> None:
    """Weights of a network that does not run away, as an untrained one does."""
    with torch.no_grad():
        for weight in network.parameters():
            weight *= 0.5


def parts(clips, *overrides: str):
    """Trainer, a batch of real speech, and what is drawn for it."""
    trainer = Trainer(small(*overrides), clips, initialise=calm)
    return trainer, trainer.preprocess(trainer.sampler.draw(0)), trainer._targets()


@pytest.mark.parametrize("overrides", PRIORS, ids=["spectral", "standard"])
@pytest.mark.parametrize("n_steps", [3, 7])
def test_it_makes_what_the_vocoder_makes(clips, overrides, n_steps):
    """With the same noise, mel and schedule: both samplers that are the default for some number of steps."""
    trainer, example, _ = parts(clips, f"refinement.steps=[{n_steps}]", *overrides)
    loss = RefinementLoss(trainer.recipe)
    draws = loss.draw(0, 4, example.y_0.shape[1], torch.Generator())
    indices = noise_indices(*loss.ways[n_steps])
    noise = seeded_noise([0, 1, 2, 3])
    by_item = torch.stack([noise(index, example.y_0.shape[1]) for index in indices], 1)
    draws = replace(draws, noises=torch.stack([by_item[:2], by_item[2:]], 1))
    with torch.no_grad():
        made = loss.make(trainer.network, example, draws)
    vocoder = Vocoder(
        trainer.preprocess.mel_config, trainer.network, trainer.recipe.model.prior, default_schedule="6", griffin_lim=0
    )
    for first_seed, waveforms in zip((0, 2), made, strict=True):
        seeds = [first_seed, first_seed + 1]
        expected = vocoder(example.mel[::2], schedule=n_steps, seed=seeds, griffin_lim=0, engine="reference")
        torch.testing.assert_close(waveforms, expected, rtol=0, atol=1e-5 * expected.abs().max().item())


def test_its_gradient_is_that_of_all_steps(clips):
    """Against central differences in float64, along the gradient and along a random direction."""
    trainer, example, targets = parts(clips, "model.prior.kind=spectral")
    network = trainer.network.double()
    example = replace(example, y_0=example.y_0.double(), mel=example.mel.double(), gains=example.gains.double())
    draws = replace(targets.refinement, noises=targets.refinement.noises.double())
    loss = RefinementLoss(trainer.recipe)
    weights = list(network.parameters())
    gradients = torch.autograd.grad(loss(network, example, draws), weights, allow_unused=True)
    gradients = [torch.zeros_like(w) if g is None else g for w, g in zip(weights, gradients, strict=True)]
    generator = torch.Generator().manual_seed(0)
    random = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]

    def moved(direction: list[torch.Tensor], by: float) -> float:
        with torch.no_grad():
            for w, d in zip(weights, direction, strict=True):
                w += by * d
            value = loss(network, example, draws).item()
            for w, d in zip(weights, direction, strict=True):
                w -= by * d
        return value

    for direction in (gradients, random):
        length = math.sqrt(sum(d.square().sum().item() for d in direction))
        unit = [d / length for d in direction]
        slope = (moved(unit, 1e-5) - moved(unit, -1e-5)) / 2e-5
        expected = sum((g * d).sum().item() for g, d in zip(gradients, unit, strict=True))
        assert slope == pytest.approx(expected, rel=5e-3, abs=1e-6)


@pytest.mark.parametrize("every", [1, 2, 3])
@pytest.mark.parametrize("n_parts", [2, 4])
def test_parts_of_a_batch_add_up_to_the_whole(clips, every, n_parts):
    """Micro-batches and ranks, whether or not they hold as many of the crops that are made."""
    trainer, example, targets = parts(clips, f"refinement.every={every}", "model.prior.kind=spectral")
    loss = RefinementLoss(trainer.recipe)
    assert len(targets.refinement.noises) == math.ceil(4 / every)
    sums = torch.zeros(())
    for part in range(n_parts):
        chosen = slice(part * 4 // n_parts, (part + 1) * 4 // n_parts)
        cut = replace(
            example,
            y_0=example.y_0[chosen],
            mel=example.mel[chosen],
            mask=example.mask[chosen],
            gains=example.gains[chosen],
        )
        sums = sums + loss(trainer.network, cut, targets.part(chosen).refinement)
    torch.testing.assert_close(sums, loss(trainer.network, example, targets.refinement), rtol=1e-4, atol=1e-6)


def test_accumulated_steps_are_the_same_steps(clips):
    losses = []
    for accumulate in (1, 4):
        trainer = Trainer(small("refinement.every=3", f"run.accumulate={accumulate}"), clips, initialise=calm)
        losses.append([trainer.train_step().read() for _ in range(2)])
    for whole, cut in zip(*losses, strict=True):
        assert whole == pytest.approx(cut, rel=1e-3)


def test_the_loss_is_the_noise_loss_and_the_weighted_refinement(clips):
    """And noise loss and draws are those of a recipe without."""
    trainer, example, targets = parts(clips)
    plain = Trainer(load_recipe(str(ROOT / "recipes" / "tiny.toml"), SMALL), clips, initialise=calm)
    without = plain._targets()
    assert without.refinement is None
    assert torch.equal(without.noise, targets.noise)
    assert torch.equal(without.levels, targets.levels)
    share = trainer._loss(targets, 0, 1)
    refinement = RefinementLoss(trainer.recipe)(trainer.network, example, targets.refinement)
    torch.testing.assert_close(share.refinement, refinement)
    torch.testing.assert_close(share.loss, plain._loss(without, 0, 1).loss + 0.3 * refinement)
    assert plain.train_step().read().keys() == trainer.train_step().read().keys() - {"refinement"}


def test_an_untrained_network_is_held_where_its_waveform_would_run_away(clips):
    trainer = Trainer(small("refinement.steps=[7]"), clips)
    vocoder, mel = trainer.vocoder(), torch.zeros(128, 8)
    with pytest.raises(WavegradError, match="ran away"):
        vocoder(mel, schedule=7, seed=0)
    report = trainer.train_step()
    trainer.check(report)
    assert 0 < report.refinement < 100


@pytest.mark.parametrize("mel_weight", [1.0, 4.0])
def test_it_is_the_energy_distance_and_the_distance_of_the_mels(clips, monkeypatch, mel_weight):
    """In nepers, whatever the unit and offset of the convention; nothing where the recording itself is made."""
    overrides = ["model.prior.kind=spectral", "refinement.every=1", f"refinement.mel_weight={mel_weight}"]
    trainer, example, targets = parts(clips, *overrides)
    reference = colour(example.y_0, example.gains)
    made = (0.7 * reference, reference.flip(1))
    mel = MelSpectrogram(trainer.preprocess.mel_config)
    missed = sum((mel(y) - mel(reference)).abs().mean() for y in made) / 2
    expected = SpectralDistance(24000).energy(reference, *made).mean() + mel_weight * missed
    loss = RefinementLoss(trainer.recipe)
    monkeypatch.setattr(loss, "make", lambda *_: made)
    for changes in ({}, {"log": "db", "scale": 0.05, "offset": 0.7}):
        monkeypatch.setattr(loss, "_log_mel", MelSpectrogram(replace(mel.config, **changes)))
        value = loss(trainer.network, example, targets.refinement).item()
        assert value == pytest.approx(expected.item(), rel=1e-5)
    monkeypatch.setattr(loss, "make", lambda *_: (reference, reference))
    assert 0 <= loss(trainer.network, example, targets.refinement) < 1e-4


def test_a_run_goes_on_to_the_bit(clips, tmp_path):
    recipe = small("refinement.steps=[2, 3]")
    straight = Trainer(recipe, clips)
    losses = [straight.train_step().read() for _ in range(3)]
    path = save_state(straight.state(), tmp_path, keep=1)
    losses += [straight.train_step().read() for _ in range(3)]
    resumed = Trainer(recipe, clips)
    resumed.restore(load_state(path))
    assert [resumed.train_step().read() for _ in range(3)] == losses[3:]


def test_passes_are_counted(clips):
    """The forward hook counts crops that go through the network."""
    recipe = small("refinement.steps=[2, 7]", "refinement.every=3")
    trainer = Trainer(recipe, clips)
    seen = []
    trainer.network.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
    for _ in range(2):
        trainer.train_step()
    assert sum(seen) == 2 * 4 * (1 + RefinementLoss(recipe).passes(4))
    plain = gflop_of_step(replace(recipe, refinement=replace(recipe.refinement, weight=0.0)))
    assert gflop_of_step(recipe) == pytest.approx(plain * sum(seen) / 8)


def test_numbers_of_steps_take_turns():
    objective = Objective(small("refinement.steps=[2, 6]"))
    generator = torch.Generator().manual_seed(0)
    drawn = [objective.draw(4, 2400, generator, None, step).refinement.n_steps for step in range(4)]
    assert drawn == [2, 6, 2, 6]


def test_a_run_learns_it_logs_it_and_is_judged_by_it(tmp_path, clips):
    """Twelve steps from the shipped weights bring the refinement loss of the validation down."""
    gentle = ["optimizer.learning_rate=1e-4", "optimizer.warmup_steps=2", "data.batch_size=2", "refinement.every=1"]
    recipe = load_recipe(
        str(ROOT / "recipes" / "small-24k.toml"),
        [*SMALL, *ON, "run.steps=12", "run.validate_every=4", "run.log_every=4", "data.valid_clips=2", *gentle],
    )
    said: list[str] = []
    train(recipe, SPEECH, tmp_path / "run", say=said.append, start="small-24k")
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    learned = [r for r in records if r["group"] == "train"]
    judged = [r for r in records if r["group"] == "valid"]
    assert all(0 < r["refinement"] < r["loss"] / 0.3 for r in learned)
    assert judged[-1]["refinement_3"] < judged[0]["refinement_3"]
    levels = [value for key, value in judged[-1].items() if key.startswith("loss_at")]
    expected = sum(levels) / len(levels) + 0.3 * judged[-1]["refinement_3"]
    assert judged[-1]["loss"] == pytest.approx(expected)


def test_a_validation_without_it_is_judged_by_the_noise_loss_alone():
    validation = Validation({0.5: 0.2, 0.7: 0.4}, {}, 0.0, math.nan, {}, {})
    assert validation.loss == pytest.approx(0.3)
    assert str(validation) == "validation loss 0.3000"
    refined = replace(validation, refinement={2: 1.0, 6: 0.5}, refinement_weight=0.2)
    assert refined.loss == pytest.approx(0.3 + 0.2 * 0.75)
    assert "refinement in 6 steps 0.5000" in str(refined)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("refinement.weight=-1.0", "refinement.weight is -1.0"),
        ("refinement.weight=inf", "refinement.weight is inf"),
        ("refinement.mel_weight=-0.1", "refinement.mel_weight is -0.1"),
        ("refinement.steps=[]", "must name one number of steps or more"),
        ("refinement.steps=[6, 0]", r"refinement.steps is \[6, 0\]"),
        ("refinement.every=0", "refinement.every is 0"),
        ("objective.conditioning=index", 'needs objective.conditioning "level"'),
    ],
)
def test_mistakes_are_refused_by_name(override, message):
    with pytest.raises(ConfigError, match=message):
        small(override)


def test_an_index_is_no_obstacle_without_it():
    recipe = small("refinement.weight=0.0", "objective.conditioning=index")
    assert Objective(recipe).refinement is None
