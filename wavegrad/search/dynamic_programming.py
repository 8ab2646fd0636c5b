"""The best schedule of every length at once, from a table of losses by noise level."""

import math
from collections.abc import Sequence
from dataclasses import replace

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search.bound import Reverse, data_bound, jump_bound, start_bound
from wavegrad.search.space import TOLERANCE, SearchSpace, db_of_level


def best_schedules(
    levels: Sequence[float],
    losses: Sequence[float],
    power: float,
    space: SearchSpace,
    reverse: Reverse = "posterior",
) -> dict[int, tuple[NoiseSchedule, float]]:
    """The schedules of 1 ... N of the given levels with the smallest bound (Watson et al. 2021, algorithm 1).

    D_1(t) = the data's term at t; D_k(t) = min over cleaner s of D_{k-1}(s) + L(s, t); the schedule of k steps is the
    one behind min over t of D_k(t) + the start's term. Differs from the paper: the start's term is in it, so that the
    noisiest level is chosen too; and what the space forbids costs infinity.

    Args:
        levels: sqrt(alpha_bar) that may be used, falling, in (0, 1).
        losses: mean square error of the predicted noise at each.
        power: mean of y_0^2.
        space: N, the longest schedule wanted, at most the number of levels; and the constraints, for every length.
        reverse: the variance of the steps back.

    Returns:
        By number of steps: the schedule and its bound, nats a sample.

    Raises:
        ConfigError: more steps than levels, losses that are not as many, or not positive, or no schedule of the levels
            obeys the constraints.
    """
    _check(levels, losses, space.n_steps)
    db = [db_of_level(level) for level in levels]
    jumps = [
        [_jump(space, db[s] - db[t], levels[s], levels[t], losses[t], reverse) for s in range(t)]
        for t in range(len(levels))
    ]
    ends = [start_bound(level, power) for level in levels]
    data = [data_bound(level, loss) for level, loss in zip(levels, losses, strict=True)]
    costs = _allowed(replace(space, n_steps=max(2, space.n_steps)), 1, db, data)
    came_from: list[list[int]] = []
    found = {}
    for k in range(1, space.n_steps + 1):
        shape = replace(space, n_steps=k)
        totals = _allowed(shape, k, db, [cost + end for cost, end in zip(costs if k > 1 else data, ends, strict=True)])
        last = min(range(len(levels)), key=totals.__getitem__)
        if totals[last] == math.inf:
            raise ConfigError(f"no {k} of the {len(levels)} levels obey the constraints; use more of them")
        found[k] = (_trace(levels, came_from, last), totals[last])
        costs, sources = _extend(costs, jumps)
        came_from.append(sources)
    return found


def _jump(space: SearchSpace, width: float, clean: float, noisy: float, loss: float, reverse: Reverse) -> float:
    cost = jump_bound(clean, noisy, loss, reverse)
    return cost if width >= space.gap_db - TOLERANCE else math.inf


def _allowed(space: SearchSpace, n: int, db: Sequence[float], costs: Sequence[float]) -> list[float]:
    """The costs of the values of level n; infinite where it may not be."""
    return [cost if space.allows(n, value) else math.inf for value, cost in zip(db, costs, strict=True)]


def _extend(costs: Sequence[float], jumps: Sequence[Sequence[float]]) -> tuple[list[float], list[int]]:
    """One step more: the smallest cost of each level, and the cleaner level that it comes from (-1: none)."""
    new, sources = [], []
    for row in jumps:
        options = [(costs[s] + jump, s) for s, jump in enumerate(row)]
        cost, source = min(options, default=(math.inf, -1))
        new.append(cost)
        sources.append(source)
    return new, sources


def _trace(levels: Sequence[float], came_from: Sequence[Sequence[int]], last: int) -> NoiseSchedule:
    path = [last]
    for sources in reversed(came_from):
        path.append(sources[path[-1]])
    return NoiseSchedule.from_noise_levels([levels[i] for i in reversed(path)], f"dp({len(path)})")


def _check(levels: Sequence[float], losses: Sequence[float], max_steps: int) -> None:
    if len(losses) != len(levels) or not all(0 < loss < math.inf for loss in losses):
        raise ConfigError(f"{len(losses)} losses for {len(levels)} levels; one positive number for each is needed")
    if max_steps > len(levels):
        raise ConfigError(f"{max_steps} steps from {len(levels)} levels; 1 to {len(levels)} are possible")
