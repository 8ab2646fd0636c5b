"""The paper's grid of betas."""

import itertools
import random
from collections.abc import Iterator, Sequence

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search.trial import Method

EXPONENTS = (-6, -5, -4, -3, -2, -1)
DIGITS = tuple(range(1, 10))


def paper_grid(
    n_trials: int | None = None, seed: int = 0, exponents: Sequence[int] = EXPONENTS
) -> Iterator[tuple[float, ...]]:
    """beta_n in {1 ... 9} x 10^e_n, one exponent a step (WaveGrad, sec. 4.2): 9^6 = 531441 schedules of 6 steps.

    Args:
        n_trials: left out, all, in lexical order; else a random subset of so many, without repetition.
        seed: of the subset.
        exponents: e_1 ... e_N.
    """
    total = len(DIGITS) ** len(exponents)
    if n_trials is None or n_trials >= total:
        for digits in itertools.product(DIGITS, repeat=len(exponents)):
            yield _betas(digits, exponents)
        return
    for index in random.Random(seed).sample(range(total), n_trials):
        digits = tuple(DIGITS[index // len(DIGITS) ** k % len(DIGITS)] for k in reversed(range(len(exponents))))
        yield _betas(digits, exponents)


def _betas(digits: Sequence[int], exponents: Sequence[int]) -> tuple[float, ...]:
    return tuple(float(f"{digit}e{exponent}") for digit, exponent in zip(digits, exponents, strict=True))


def grid_method(n_steps: int, round_size: int, n_trials: int | None = None, seed: int = 0) -> Method:
    """The grid in rounds. ConfigError for another number of steps than 6: the paper has one exponent for each."""
    if n_steps != len(EXPONENTS):
        raise ConfigError(f"the paper's grid has {len(EXPONENTS)} steps, not {n_steps}; use another method")

    def method() -> Method:
        grid = paper_grid(n_trials, seed)
        while betas := list(itertools.islice(grid, round_size)):
            yield [NoiseSchedule(one, "grid") for one in betas]

    return method()
