"""Importance sampling of noise levels."""

import math
from collections import deque

import pytest
import torch
from scipy import stats

from wavegrad.diffusion.importance import HISTORY, MOST_BUCKETS, LossHistory


def filled(n_steps: int) -> LossHistory:
    """Losses that differ by a factor of some ten, over all steps, in another order than theirs."""
    history = LossHistory.empty(n_steps)
    steps = torch.arange(n_steps).repeat(HISTORY) + 1
    return history.record(steps, 0.3 + (steps.double() * 7 % 5))


def test_all_steps_are_alike_until_every_bucket_has_its_history():
    history = LossHistory.empty(4)
    assert torch.equal(history.probabilities(), torch.full((4,), 0.25, dtype=torch.float64))
    for i in range(4 * HISTORY):
        assert not history.full
        history = history.record(torch.tensor([i % 4 + 1]), torch.tensor([float(1 + i % 4)]))
    assert history.full
    torch.testing.assert_close(history.probabilities(), torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64))


def test_the_root_of_the_mean_square_of_the_ten_newest_losses_counts():
    """Improved DDPM, eq. 18."""
    history = LossHistory.empty(2).record(torch.ones(12, dtype=torch.int64), torch.arange(12.0))
    history = history.record(torch.full((10,), 2), torch.full((10,), 2.0))
    root = math.sqrt(sum(i**2 for i in range(2, 12)) / 10)
    expected = torch.tensor([root, 2.0], dtype=torch.float64) / (root + 2)
    torch.testing.assert_close(history.probabilities(), expected)


@pytest.mark.parametrize("n_steps", [1, 7, 250])
def test_steps_are_drawn_by_their_probability(n_steps):
    """Chi-squared over 100,000 draws; false alarm 1e-6 (the seed is fixed)."""
    history = filled(n_steps)
    steps, weights = history.draw(100_000, torch.Generator().manual_seed(0))
    p = history.probabilities()
    assert p.sum().item() == pytest.approx(1)
    counts = torch.bincount(steps - 1, minlength=n_steps)
    assert len(counts) == n_steps
    if n_steps > 1:
        assert stats.chisquare(counts.numpy(), p.numpy() * 100_000).pvalue > 1e-6
    torch.testing.assert_close(weights, 1 / (n_steps * p[steps - 1]))


def test_the_weighted_loss_is_unbiased():
    """Its mean over 100,000 draws is that of uniform steps within five standard errors (false alarm 6e-7, the seed is
    fixed), and its variance is less for a loss like those recorded."""
    history = filled(50)
    loss = (0.3 + (torch.arange(1, 51).double() * 7 % 5)) * (1 + 0.1 * torch.arange(50).double().sin())
    steps, weights = history.draw(100_000, torch.Generator().manual_seed(0))
    values = weights * loss[steps - 1]
    assert abs(values.mean() - loss.mean()) < 5 * values.std() / math.sqrt(100_000)
    assert values.std() < 0.5 * loss.std()


def test_buckets_are_stretches_of_neighbouring_steps():
    history = LossHistory.empty(1000)
    buckets = history.bucket(torch.arange(1, 1001))
    assert buckets.tolist() == sorted(buckets.tolist())
    assert torch.equal(torch.bincount(buckets), torch.full((MOST_BUCKETS,), 10))
    assert LossHistory.empty(30).bucket(torch.arange(1, 31)).tolist() == list(range(30))


def test_each_loss_pushes_out_the_oldest_of_its_bucket():
    """Beside queues; several losses of one step at once, and some that are not finite."""
    generator, history = torch.Generator().manual_seed(0), LossHistory.empty(250)
    queues = [deque([math.nan] * HISTORY, HISTORY) for _ in range(MOST_BUCKETS)]
    for n_items in (1, 7, 400, 2000):
        steps = torch.randint(1, 251, (n_items,), generator=generator)
        losses = torch.randn(n_items, generator=generator).exp()
        losses[torch.rand(n_items, generator=generator) < 0.1] = torch.tensor(math.inf if n_items % 2 else math.nan)
        for step, loss in zip(steps.tolist(), losses.tolist(), strict=True):
            if math.isfinite(loss):
                queues[(step - 1) * MOST_BUCKETS // 250].append(loss)
        history = history.record(steps, losses)
        expected = torch.tensor([list(queue) for queue in queues], dtype=torch.float64)
        torch.testing.assert_close(history.losses, expected, rtol=0, atol=0, equal_nan=True)


def test_a_history_is_a_value():
    history = LossHistory.empty(3)
    later = history.record(torch.tensor([2]), torch.tensor([1.0]))
    assert history.losses.isnan().all()
    assert later.losses[1, -1] == 1
