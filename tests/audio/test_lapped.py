"""The lapped transform is an orthogonal matrix, and its coefficients lie where they should."""

import pytest
import torch

from wavegrad.audio.lapped import inverse_lapped, lapped


def matrix(frames: int, hop: int) -> torch.Tensor:
    """The transform of every unit vector."""
    return lapped(torch.eye(frames * hop, dtype=torch.float64), hop).flatten(1)


@pytest.mark.parametrize(("frames", "hop"), [(1, 8), (2, 8), (5, 8), (4, 7), (3, 2)])
def test_the_transform_is_orthogonal_ends_included(frames, hop):
    t = matrix(frames, hop)
    torch.testing.assert_close(t @ t.T, torch.eye(len(t), dtype=torch.float64), rtol=0, atol=1e-13)


@pytest.mark.parametrize("hop", [200, 256, 300, 441])
def test_the_inverse_undoes_it(hop):
    x = torch.randn(2, 6 * hop, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(inverse_lapped(lapped(x, hop)), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [3, 50, 290])
def test_a_tone_lands_in_its_coefficient(k):
    """cos at (k + 1/2) / (2 hop) of the sample rate: at least 95 % of the energy within two coefficients of k."""
    hop = 300
    t = torch.arange(20 * hop, dtype=torch.float64)
    energy = lapped(torch.cos(torch.pi * (k + 0.5) / hop * t + 0.3)[None], hop)[0, 2:-2].square().sum(0)
    assert energy[max(0, k - 2) : k + 3].sum() / energy.sum() > 0.95


def test_segments_overlap():
    """A coefficient sees half a segment of each neighbour: without the fold, borders would click."""
    t = matrix(4, 8).unflatten(1, (4, 8))
    seen = t[:, 1].abs().amax(1) > 1e-9
    assert seen.nonzero()[:, 0].tolist() == list(range(4, 20))
