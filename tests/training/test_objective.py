"""Objectives of the family: each is the published one, runs, and resumes to the bit."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tests.training.conftest import ROOT
from tests.training.test_loop import same
from wavegrad.diffusion import diffuse
from wavegrad.diffusion.importance import HISTORY
from wavegrad.errors import ConfigError
from wavegrad.training import validation
from wavegrad.training.objective import Objective
from wavegrad.training.recipe import Recipe, load_recipe
from wavegrad.training.state import load_state, save_state
from wavegrad.training.step import Example
from wavegrad.training.trainer import Trainer
from wavegrad.training.validation import Validator

SMALL = ["data.crop_frames=4", "data.batch_size=2", "run.steps=24", "run.valid_synthesis=0"]
SMALL += ["run.device=cpu", "run.precision=float32"]
INDEX = ["objective.conditioning=index"]
L2 = ["optimizer.loss=l2"]
DROPOUT = ["objective.condition_dropout=0.4"]
VARIANCE = ["objective.learned_variance=true", *L2, "schedule.n_steps=50", "schedule.beta_n=0.2"]
IMPORTANCE = [
    "objective.level_sampling=importance",
    "schedule.n_steps=2",
    "schedule.beta_1=0.05",
    "schedule.beta_n=0.9",
]
FAMILY = {
    "variance": VARIANCE,
    "importance": IMPORTANCE,
    "cosine": ["schedule.kind=cosine"],
    "all": [
        *INDEX,
        *L2,
        *DROPOUT,
        *IMPORTANCE,
        "objective.learned_variance=true",
        "schedule.kind=quadratic",
        'model.default_schedule="2"',
    ],
}


def small(*overrides: str) -> Recipe:
    return load_recipe(str(ROOT / "recipes" / "tiny.toml"), [*SMALL, *overrides])


def example(n_items: int = 4) -> Example:
    generator = torch.Generator().manual_seed(3)
    y_0, mel = (torch.randn(n_items, *shape, generator=generator) for shape in ((1200,), (128, 4)))
    mask = torch.ones(n_items, 1200, dtype=torch.bool)
    mask[0, 500:] = False
    return Example(y_0, mel, mask)


def parts(*overrides: str, n_items: int = 4):
    """Network, objective and targets of a recipe."""
    recipe = small(*overrides)
    network, objective = Trainer(recipe, CLIPS).network, Objective(recipe)
    return network, objective, objective.draw(n_items, 1200, torch.Generator().manual_seed(5), None)


CLIPS: list = []


@pytest.fixture(autouse=True)
def _clips(clips):
    CLIPS[:] = clips


@pytest.mark.parametrize("overrides", FAMILY.values(), ids=FAMILY)
def test_a_short_run_learns_and_resumes_to_the_bit(clips, tmp_path, overrides):
    """24 steps on real speech: the loss falls; stopped after 18 and taken up again, they are the same."""
    recipe = small(*overrides)
    straight = Trainer(recipe, clips)
    losses = []
    for step in range(24):
        if step == 18:
            path = save_state(straight.state(), tmp_path, keep=1)
        losses.append(straight.train_step().loss)
    assert sum(losses[-6:]) < 0.8 * sum(losses[:6])
    resumed = Trainer(recipe, clips)
    resumed.restore(load_state(path))
    assert [resumed.train_step().loss for _ in range(6)] == losses[18:]
    assert same(vars(straight.state()), vars(resumed.state()))
    if straight.history is not None:
        assert straight.history.full
        assert not resumed.history.probabilities().allclose(torch.tensor(1 / recipe.schedule.n_steps).double())


def test_l2_with_indices_is_l_simple():
    """DDPM, eq. 14, with sums over samples that count, and steps from the training schedule only."""
    network, objective, targets = parts(*INDEX, *L2)
    levels = objective.schedule.noise_levels.float()
    assert torch.equal(targets.levels, levels[targets.steps])
    batch = example()
    loss, items = objective.loss(network, batch, targets)
    with torch.no_grad():
        predicted = network(diffuse(batch.y_0, targets.levels, targets.noise), batch.mel, targets.levels)
    squares = (targets.noise - predicted).square()[batch.mask]
    torch.testing.assert_close(loss.detach(), squares.mean())
    torch.testing.assert_close((items * batch.mask.sum(1)).sum() / batch.mask.sum(), loss.detach())


def test_a_network_of_indices_is_validated_at_the_nearest_steps(clips, monkeypatch):
    """The mixture is that of the step whose index the network is told."""
    monkeypatch.setattr(validation, "N_CROPS", 2)
    recipe = small(*INDEX, "schedule.n_steps=5", "schedule.beta_n=0.9", 'model.default_schedule="5"')
    trainer = Trainer(recipe, clips)
    seen = []
    trainer.network.register_forward_hook(lambda module, inputs, output: seen.append(inputs[2]))
    losses = Validator(recipe, clips, trainer.preprocess).losses(trainer.network)
    assert len(losses) == len(validation.LEVELS)
    known = recipe.schedule.schedule().noise_levels[1:]
    for level, asked in zip(validation.LEVELS, seen, strict=True):
        assert torch.equal(asked, known[(known - level).abs().argmin()].float().expand(2))


def test_all_steps_of_the_training_schedule_are_drawn_alike():
    """40,000 draws of 50 steps: each count within five standard deviations; false alarm 3e-5 (the seed is fixed)."""
    objective = Objective(small(*INDEX, "schedule.n_steps=50"))
    counts = torch.bincount(objective.draw(40_000, 1, torch.Generator().manual_seed(0), None).steps)[1:]
    assert len(counts) == 50
    assert ((counts - 800).abs() < 5 * math.sqrt(800)).all()


def test_a_learned_variance_has_l_hybrid():
    """L_simple + 0.001 L_vlb (Improved DDPM, eq. 16), L_vlb in bits a sample, from torch.distributions; none
    where the step is the first."""
    network, objective, targets = parts(*VARIANCE, n_items=6)
    targets = replace(targets, steps=targets.steps.clone(), inner_levels=targets.inner_levels.clone())
    targets.inner_levels[0] = 1.0  # as if drawn from the first interval
    batch = example(6)
    loss, _ = objective.loss(network, batch, targets)
    outer, inner = targets.levels.double()[:, None], targets.inner_levels[:, None]
    y = diffuse(batch.y_0, targets.levels, targets.noise).double()
    with torch.no_grad():
        noise, v = network.noise_and_variance(y.float(), batch.mel, targets.levels)
    noise, v, y_0 = noise.double(), v.double(), batch.y_0.double()
    alpha = (outer / inner) ** 2
    beta, tilde = 1 - alpha, (1 - inner**2) / (1 - outer**2) * (1 - alpha)
    p_mean = (y - beta / (1 - outer**2).sqrt() * noise) / alpha.sqrt()
    q_mean = (inner * beta * y_0 + alpha.sqrt() * (1 - inner**2) * y) / (1 - outer**2)
    terms = torch.zeros_like(y_0)
    sigma = (v * beta.log() + (1 - v) * tilde.log()).exp().sqrt()
    terms[1:] = kl_divergence(Normal(q_mean[1:], tilde.sqrt()[1:]), Normal(p_mean[1:], sigma[1:]))
    simple = (targets.noise - noise).square()
    expected = (simple + 0.001 * 50 * terms / math.log(2))[batch.mask].mean()
    torch.testing.assert_close(loss.detach().double(), expected, rtol=1e-4, atol=1e-4)


def test_the_bound_teaches_the_variance_and_not_the_mean():
    """Whatever lambda is, the noise output gets the gradient of L_simple alone, and v one in proportion to lambda."""
    gradients = {}
    for weight in (0.001, 0.1):
        network, objective, targets = parts(*VARIANCE, f"objective.vlb_weight={weight}")
        objective.loss(network, example(), targets)[0].backward()
        gradients[weight] = network.output_conv.weight.grad.clone()
    network, objective, targets = parts(*L2, "schedule.n_steps=50", "schedule.beta_n=0.2")
    state = network.state_dict()
    donor = parts(*VARIANCE)[0].state_dict()
    network.load_state_dict(
        {k: donor[k][: len(v)] if k.startswith("output_conv") else donor[k] for k, v in state.items()}
    )
    objective.loss(network, example(), targets)[0].backward()
    for gradient in gradients.values():
        torch.testing.assert_close(gradient[:1], network.output_conv.weight.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(100 * gradients[0.001][1], gradients[0.1][1], rtol=1e-4, atol=1e-6)
    assert (gradients[0.1][1] != 0).all()


def test_conditions_are_dropped_with_their_probability_and_replaced_by_the_learned_one():
    network, objective, targets = parts(*DROPOUT, n_items=10_000)
    share = targets.dropped.float().mean().item()
    assert abs(share - 0.4) < 5 * math.sqrt(0.24 / 10_000)  # false alarm 6e-7, the seed is fixed
    targets, batch = targets.part(slice(0, 4)), example()
    assert 0 < targets.dropped.sum() < 4
    loss, _ = objective.loss(network, batch, targets)
    loss.backward()
    assert (network.null_mel.grad != 0).any()
    mixed = batch.mel.clone()
    mixed[targets.dropped] = network.null_mel.detach()[:, None]
    plain = replace(targets, dropped=None)
    torch.testing.assert_close(objective.loss(network, replace(batch, mel=mixed), plain)[0], loss)
    network.zero_grad()
    objective.loss(network, batch, replace(targets, dropped=torch.zeros(4, dtype=torch.bool)))[0].backward()
    assert (network.null_mel.grad == 0).all()  # and not None: every parameter has a gradient in every step


def test_dropout_changes_neither_levels_nor_noise():
    drawn = [parts(*overrides)[2] for overrides in ([], DROPOUT)]
    for name in ("levels", "noise", "steps"):
        assert torch.equal(getattr(drawn[0], name), getattr(drawn[1], name))


def test_importance_weights_multiply_the_loss_of_their_items():
    network, objective, targets = parts()
    batch, weights = example(), torch.tensor([0.5, 2.0, 1.0, 0.1])
    weighted, items = objective.loss(network, batch, replace(targets, weights=weights))
    counts = batch.mask.sum(1)
    torch.testing.assert_close(weighted, (weights * items * counts).sum() / counts.sum())
    torch.testing.assert_close(items, objective.loss(network, batch, targets)[1])  # what is remembered has no weight


def test_importance_sampling_needs_the_whole_step_whatever_the_micro_batches(clips):
    """One history for one batch, in one piece or in four: losses differ by rounding only."""
    histories = []
    for accumulate in (1, 4):
        trainer = Trainer(small(*IMPORTANCE, "data.batch_size=4", f"run.accumulate={accumulate}"), clips)
        for _ in range(2):
            trainer.train_step()
        histories.append(trainer.history.losses)
    assert histories[0].isfinite().sum() == 8 < 2 * HISTORY
    torch.testing.assert_close(*histories, rtol=1e-4, atol=1e-6, equal_nan=True)


def test_a_run_begun_before_these_keys_can_be_taken_up(tmp_path):
    """A checkpoint whose recipe has no [objective] and no schedule.kind, and which has no level_losses."""
    from tests.training.conftest import SPEECH
    from wavegrad.training.loop import train

    recipe = small("run.steps=1", "data.batch_size=1")
    train(recipe, SPEECH, tmp_path / "run", say=lambda line: None)
    path = tmp_path / "run" / "checkpoints" / "step-00000001.pt"
    raw = torch.load(path, weights_only=True)
    del raw["recipe"]["objective"], raw["recipe"]["schedule"]["kind"], raw["level_losses"]
    torch.save(raw, path)
    outcome = train(small("run.steps=2", "data.batch_size=1"), SPEECH, tmp_path / "run", say=lambda line: None)
    assert outcome.step == 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("objective.condition_dropout=1.0", "condition_dropout is 1.0"),
        ("objective.vlb_weight=0.0", "vlb_weight is 0.0"),
        ("objective.conditioning=step", "index"),
        ("objective.level_sampling=importnce", "importance"),
        ("schedule.kind=cosin", "cosine"),
        ('model.default_schedule="12"', "unknown default_schedule '12'"),
    ],
)
def test_mistakes_are_refused_by_name(override, message):
    with pytest.raises(ConfigError, match=message):
        small(*INDEX, override)
    with pytest.raises(ConfigError, match="beta_1 and beta_n say nothing to a cosine schedule"):
        small("schedule.kind=cosine", "schedule.beta_1=1e-4")
