"""Two mels of one recording, brought to common frames."""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.presets import MEL_PRESETS

MOST_LAG = 12
"""Frames that are searched to both sides."""
LAG_SEEN = 0.35
"""A smaller lag, in frames, is not told from none."""
NEAR = 0.006
"""How far a ratio of frame counts may lie from that of a known pair; a frame in 200 makes 0.005."""
FEW_FRAMES = 4
"""Counts that differ by no more have one hop: centring and trimming make as much."""


def frame_findings(
    a: Float[Tensor, "bands_a frames_a"], b: Float[Tensor, "bands_b frames_b"]
) -> Iterator[tuple[Literal["hop", "length", "offset"], str]]:
    """What the numbers of frames and the lag between the mels say."""
    n_a, n_b = a.shape[1], b.shape[1]
    if _is_stretched(a, b):
        yield "hop", f"hop or sample rate: {n_b} frames in B for {n_a} in A, {n_b / n_a:.4f} times{_like(n_b / n_a)}"
    elif n_a != n_b:
        yield "length", f"length: A has {n_a} frames, B has {n_b}: {_why(n_a, n_b)}"
    lag = _lag(*_course(a, b))
    if abs(lag) > LAG_SEEN:
        half = ": centring, frame k on sample k * hop in one and on (k + 1/2) * hop in the other"
        yield (
            "offset",
            f"offset: B is {abs(lag):.1f} frames {'late' if lag > 0 else 'early'}{half if abs(lag) < 0.75 else ''}",
        )


def aligned_frames(
    a: Float[Tensor, "bands_a frames_a"], b: Float[Tensor, "bands_b frames_b"]
) -> tuple[Float[Tensor, "bands_a frames"], Float[Tensor, "bands_b frames"]]:
    """Both on A's frames, B interpolated where hop or position differ, without the ends that one of them lacks."""
    lag = _lag(*_course(a, b))
    stretch = b.shape[1] / a.shape[1] if _is_stretched(a, b) else 1.0
    lag = lag if abs(lag) > LAG_SEEN else 0.0
    if stretch == 1 and lag == 0:
        n = min(a.shape[1], b.shape[1])
        return a[:, :n], b[:, :n]
    where = (torch.arange(a.shape[1], dtype=torch.float64) + 0.5 + lag) * stretch - 0.5
    inside = (where >= 0) & (where <= b.shape[1] - 1)
    left = where[inside].floor().long().clamp(max=b.shape[1] - 2)
    share = where[inside] - left
    return a[:, inside], b[:, left] * (1 - share) + b[:, left + 1] * share


def _is_stretched(a: Tensor, b: Tensor) -> bool:
    """Whether the whole of B, and not a part of it, corresponds to the whole of A."""
    n_a, n_b = a.shape[1], b.shape[1]
    if abs(n_a - n_b) <= FEW_FRAMES:
        return False
    n = min(n_a, n_b)
    course_a, course_b = a.mean(0), b.mean(0)
    cut = _best(_correlations(course_a[:n], course_b[:n]))[1]
    return _best(_correlations(course_a, _resized(course_b, n_a)))[1] > cut


def _course(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over the bands, with as many frames in both: it knows the time, and nothing of bands."""
    n = min(a.shape[1], b.shape[1])
    if _is_stretched(a, b):
        return a.mean(0), _resized(b.mean(0), a.shape[1])
    return a.mean(0)[:n], b.mean(0)[:n]


def _resized(course: Tensor, n: int) -> Tensor:
    return F.interpolate(course[None, None], size=n, mode="linear")[0, 0]


def _correlations(a: Tensor, b: Tensor) -> Float[Tensor, " lags"]:
    """Of A with B moved back by -most ... most frames."""
    n = len(a)
    most = min(MOST_LAG, n // 4)
    values = []
    for lag in range(-most, most + 1):
        x, y = a[max(0, -lag) : n - max(0, lag)], b[max(0, lag) : n - max(0, -lag)]
        values.append(torch.corrcoef(torch.stack((x, y)))[0, 1])
    return torch.stack(values)


def _best(correlations: Tensor) -> tuple[float, float]:
    """Lag of the largest correlation, by a parabola through it and its neighbours, and that correlation."""
    i = int(correlations.argmax())
    peak = correlations[i].item()
    if not 0 < i < len(correlations) - 1:
        return float(i - len(correlations) // 2), peak
    left, right = correlations[i - 1].item(), correlations[i + 1].item()
    bend = left - 2 * peak + right
    return i - len(correlations) // 2 + (0.5 * (left - right) / bend if bend < 0 else 0.0), peak


def _lag(a: Tensor, b: Tensor) -> float:
    """Frames by which B is late."""
    return _best(_correlations(a, b))[0]


def _why(n_a: int, n_b: int) -> str:
    if abs(n_a - n_b) == 1:
        return "centred frames (1 + n // hop) in the longer one, or a last frame that was dropped"
    return "one of them was cut, padded or made of other audio"


def _like(ratio: float) -> str:
    """Usual hops, or else the presets whose frames per second have this ratio, where there are such."""
    configs = [preset.config for preset in MEL_PRESETS.values()]
    hops = {(a.hop_length / b.hop_length): (a, b) for a in configs for b in configs if a.hop_length != b.hop_length}
    near = min(hops, key=lambda r: abs(r - ratio))
    if abs(near - ratio) < NEAR * ratio:
        return f", as of hop {hops[near][1].hop_length} in B for {hops[near][0].hop_length} in A"
    rates = {(b.sample_rate / b.hop_length) / (a.sample_rate / a.hop_length): (a, b) for a in configs for b in configs}
    near = min(rates, key=lambda r: abs(r - ratio))
    if near == 1 or abs(near - ratio) > NEAR * ratio:
        return ""
    of_a, of_b = (f"hop {config.hop_length} at {config.sample_rate} Hz" for config in rates[near])
    return f", as of {of_b} in B for {of_a} in A"
