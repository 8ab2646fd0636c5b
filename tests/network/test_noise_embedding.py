"""The embedding of the noise level against its closed form."""

import math

import pytest
import torch

from wavegrad.network.noise_embedding import NoiseEmbedding

CLOSE = torch.tensor([0.999, 0.9999], dtype=torch.float64)


def test_the_closed_form() -> None:
    """sin and cos of C l 10^(-4 i / half), sines first. Measured: 1e-11 at angles up to 5000."""
    levels = [0.01, 0.5, 0.999, 1.0]
    embedded = NoiseEmbedding(16)(torch.tensor(levels, dtype=torch.float64))
    for row, level in zip(embedded.tolist(), levels, strict=True):
        angles = [5000 * level / 10 ** (4 * i / 8) for i in range(8)]
        assert row == pytest.approx([f(a) for f in (math.sin, math.cos) for a in angles], abs=1e-9)


def test_c_tells_close_levels_apart() -> None:
    """0.999 and 0.9999 differ tenfold in noise power. Without C (lmnt-com/wavegrad) they are almost the same point."""

    def distance(scale: float) -> float:
        near, nearer = NoiseEmbedding(128, scale)(CLOSE)
        return (near - nearer).norm().item()

    assert distance(5000.0) > 1
    assert distance(1.0) < 0.002


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_the_precision_of_the_level(dtype: torch.dtype) -> None:
    assert NoiseEmbedding(8)(CLOSE.to(dtype)).dtype == dtype


def test_autocast_does_not_reach_the_angles() -> None:
    """bfloat16 has 8 bits: an angle near 5000 would be off by up to 16 radians."""
    levels = torch.linspace(0.1, 1, 50)
    embedding = NoiseEmbedding(64)
    with torch.autocast("cpu", torch.bfloat16):
        embedded = embedding(levels)
    assert embedded.dtype == torch.float32
    assert torch.equal(embedded, embedding(levels))


def test_a_half_precision_level_is_widened_before_it_is_multiplied() -> None:
    level = torch.tensor([0.7], dtype=torch.bfloat16)
    assert torch.equal(NoiseEmbedding(32)(level), NoiseEmbedding(32)(level.float()))


def test_float32_rounds_the_angles_a_little() -> None:
    """Half a unit in the last place at 4096 to 8192 is 2.4e-4; level, frequency and product are rounded each."""
    levels = torch.linspace(0.05, 1, 200, dtype=torch.float64)
    embedding = NoiseEmbedding(64)
    assert (embedding(levels.float()) - embedding(levels)).abs().max() < 1e-3
