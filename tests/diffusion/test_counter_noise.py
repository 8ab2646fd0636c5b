"""The noise of a GPU: known answers, and a second calculation of it in Python's integers."""

import math

import pytest
import torch

from wavegrad.diffusion import CounterNoise
from wavegrad.diffusion.counter_noise import _key
from wavegrad.diffusion.philox import philox4x32

FULL = 2**32 - 1
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((FULL, FULL, FULL, FULL), (FULL, FULL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
"""philox4x32-10 of the test vectors (kat_vectors) that come with Random123, by the authors of the paper."""


def words(values: tuple[int, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.tensor(value) for value in values)


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(counter, key, expected):
    assert tuple(word.item() for word in philox4x32(words(counter), words(key))) == expected


def test_counters_and_keys_broadcast():
    counters, keys = torch.arange(3), torch.tensor([[7], [2**32 - 1]])
    zero = torch.tensor(0)
    together = torch.stack(philox4x32((counters, zero, zero, zero), (keys, zero)))
    for i, key in enumerate(keys[:, 0].tolist()):
        for j in range(3):
            assert together[:, i, j].tolist() == [
                word.item() for word in philox4x32(words((j, 0, 0, 0)), words((key, 0)))
            ]


@pytest.mark.parametrize("step", [0, 3, 2**33 + 5])
@pytest.mark.parametrize("start", [0, 6, 2**34 - 2, 2**40 + 1])
def test_samples_are_those_of_their_counter(step: int, start: int):
    """Across the borders of the words of the counter, by the formulae of Box and Muller (1958) in Python's floats."""
    seed = -(2**40)
    found = CounterNoise([seed])(step, 9, start)[0].tolist()
    for sample, value in zip(range(start, start + 9), found, strict=True):
        block = sample // 4
        counter = (block % 2**32, block // 2**32, step % 2**32, step // 2**32)
        bits = [word.item() for word in philox4x32(words(counter), words(tuple(_key(seed))))]
        radius, angle = bits[sample % 4 // 2 * 2 : sample % 4 // 2 * 2 + 2]
        length = math.sqrt(-2 * math.log((radius + 0.5) / 2**32))
        turn = 2 * math.pi * angle / 2**32
        assert value == pytest.approx(length * (math.sin if sample % 2 else math.cos)(turn), rel=2.0**-23, abs=1e-12)


def test_every_seed_has_a_key_of_its_own():
    """Small ones, large ones, and those that differ by sign or by a multiple of 2^32 only. Of 64 bits; two of these
    300 keys would be equal by chance with probability 3e-15."""
    near = [sign * (base + i) for sign in (1, -1) for base in (1, 2**32, 2**63) for i in range(50)]
    assert len({tuple(_key(seed)) for seed in [0, *near]}) == 1 + len(near)
    assert all(0 <= word < 2**32 for seed in near for word in _key(seed))


def test_no_uniform_number_gives_infinity(monkeypatch):
    """The smallest and the largest words: u is never 0, and never above 1."""
    for word in (0, FULL):
        bits = torch.full((1, 1, 5), word)
        monkeypatch.setattr("wavegrad.diffusion.counter_noise.philox4x32", lambda counter, key, bits=bits: (bits,) * 4)
        noise = CounterNoise([0])(0, 20)
        assert torch.isfinite(noise).all()
        assert noise.abs().max() < 6.77
