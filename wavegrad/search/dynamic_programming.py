"""The best schedule of every length at once, from a table of losses by noise level."""

import math
from collections.abc import Sequence

from wavegrad.diffusion import NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.search.bound import Reverse, data_bound, jump_bound, start_bound


def best_schedules(
    levels: Sequence[float], losses: Sequence[float], power: float, max_steps: int, reverse: Reverse = "optimal"
) -> dict[int, tuple[NoiseSchedule, float]]:
    """The schedules of 1 ... max_steps of the given levels with the smallest bound (Watson et al. 2021, algorithm 1).

    D_1(t) = the data's term at t; D_k(t) = min over cleaner s of D_{k-1}(s) + L(s, t); the schedule of k steps is the
    one behind min over t of D_k(t) + the start's term. Differs from the paper: the start's term is in it, so that the
    noisiest level is chosen too.

    Args:
        levels: sqrt(alpha_bar) that may be used, falling, in (0, 1).
        losses: mean square error of the predicted noise at each.
        power: mean of y_0^2.
        max_steps: longest schedule wanted, at most the number of levels.
        reverse: the variance of the steps back.

    Returns:
        By number of steps: the schedule and its bound, nats a sample.

    Raises:
        ConfigError: more steps than levels, or losses that are not as many, or not positive.
    """
    _check(levels, losses, max_steps)
    n = len(levels)
    jumps = [[jump_bound(levels[s], levels[t], losses[t], reverse) for s in range(t)] for t in range(n)]
    ends = [start_bound(level, power) for level in levels]
    costs = [data_bound(level, loss) for level, loss in zip(levels, losses, strict=True)]
    came_from: list[list[int]] = []
    found = {}
    for k in range(1, max_steps + 1):
        last = min(range(n), key=lambda t: costs[t] + ends[t])
        found[k] = (_trace(levels, came_from, last), costs[last] + ends[last])
        costs, sources = _extend(costs, jumps)
        came_from.append(sources)
    return found


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
    if not 1 <= max_steps <= len(levels):
        raise ConfigError(f"{max_steps} steps from {len(levels)} levels; 1 to {len(levels)} are possible")
