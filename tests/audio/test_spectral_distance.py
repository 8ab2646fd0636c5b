"""The distance is a distance, blind to level; the energy distance is smallest where draws are like recordings."""

import numpy as np
import pytest
import scipy.signal
import torch

from wavegrad.audio.spectral_distance import FLOOR, WINDOWS, SpectralDistance

D = SpectralDistance(24000)


def noise(seed: int, n_items: int = 1, n_samples: int = 7200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(n_items, n_samples, generator=generator, dtype=torch.float64)


def distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return D(D.spectra(x), D.spectra(y), D.spectra(x))


def test_magnitudes_are_those_of_scipy():
    x = noise(0)
    for length, magnitudes in zip(WINDOWS, D.spectra(x), strict=True):
        window = scipy.signal.get_window("hann", length)
        padded = np.pad(x[0].numpy(), length // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 4]
        expected = np.abs(np.fft.rfft(frames * window)).T
        np.testing.assert_allclose(magnitudes[0].numpy(), np.maximum(expected, FLOOR), rtol=1e-9)


def test_it_is_a_distance_between_magnitudes():
    """0 from itself, up to what keeps the gradient finite; the same both ways; no longer than a way round; and what
    has the same magnitudes is at no distance."""
    x, y, z = (noise(seed) for seed in range(3))
    reference = D.spectra(noise(3))
    there, back, first, second, itself, upside_down = (
        D(D.spectra(a), D.spectra(b), reference) for a, b in ((x, y), (y, x), (x, z), (z, y), (x, x), (x, -x))
    )
    assert itself < 1.01e-4
    assert upside_down < 1.01e-4
    torch.testing.assert_close(there, back)
    assert there < first + second


def test_it_is_the_mean_of_two_norms_over_the_mel_scale():
    """Recomputed, each bin with the share that the mel scale gives it: even up to 1 kHz, 1 / frequency above."""
    x, y, reference = (noise(seed) * level for seed, level in ((0, 1.0), (1, 0.3), (2, 2.0)))
    expected = []
    for length, *three in zip(WINDOWS, *(D.spectra(w) for w in (x, y, reference)), strict=True):
        a, b, level = (m[0].numpy() for m in three)
        share = np.minimum(1.0, 1000 / np.maximum(np.fft.rfftfreq(length, 1 / 24000), 1e-9))
        share = share / share.sum()
        linear = (share @ np.abs(a - b)).mean() / (share @ level).mean()
        logarithmic = np.sqrt(share @ (np.log(a) - np.log(b)) ** 2).mean()
        expected.append(linear + logarithmic)
    found = D(D.spectra(x), D.spectra(y), D.spectra(reference))
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-6)


def test_a_quiet_crop_counts_as_much_as_a_loud_one():
    x, y = noise(0), noise(1)
    torch.testing.assert_close(distance(0.01 * x, 0.01 * y), distance(x, y), rtol=5e-3, atol=0)  # but for the floor


def test_an_item_has_the_distance_that_it_has_alone():
    x, y = noise(0, 3), noise(1, 3)
    torch.testing.assert_close(distance(x, y)[1:2], distance(x[1:2], y[1:2]))


def test_a_crop_may_be_shorter_than_the_windows():
    assert distance(noise(0, n_samples=600), noise(1, n_samples=600)).isfinite().all()


@pytest.mark.parametrize("signal", ["silence", "itself"])
def test_gradients_are_finite_where_roots_and_logarithms_end(signal):
    x = torch.zeros(1, 4096) if signal == "silence" else noise(0, n_samples=4096).float()
    y = x.clone().requires_grad_()
    D.energy(x, y, y.flip(0)).sum().backward()
    assert y.grad.isfinite().all()


def test_the_energy_distance_is_smallest_for_draws_like_the_recordings():
    """White noise as recordings and as draws, 200 of each; louder, quieter, or softened draws are further."""
    recordings, first, second = (noise(seed, 200, 4096) for seed in range(3))

    def mean(change) -> float:
        return D.energy(recordings, change(first), change(second)).mean().item()

    def soft(x):
        return torch.nn.functional.avg_pool1d(x, 3, 1, 1)

    like = mean(lambda x: x)
    assert like < min(mean(lambda x: 0.8 * x), mean(lambda x: 1.25 * x), mean(soft))


def test_draws_that_are_all_the_same_are_further():
    """What a plain distance would like as well: it is the last term that asks for diversity."""
    recordings, first, second = (noise(seed, 50, 4096) for seed in range(3))
    diverse, uniform = D.energy(recordings, first, second), D.energy(recordings, first, first)
    assert diverse.mean() < 0.75 * uniform.mean()
    plain = [distance(recordings, y).mean() for y in (first, second)]
    torch.testing.assert_close(*plain, rtol=0.02, atol=0)
    torch.testing.assert_close(uniform, distance(recordings, first), rtol=0, atol=1e-4)
