"""Why do two mels of the same audio disagree? What the values alone can tell, one convention after the other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from wavegrad.audio.band_warp import BandWarp, find_warp
from wavegrad.audio.log_units import change_of_unit, normalisation
from wavegrad.audio.mel_align import aligned_frames, frame_findings
from wavegrad.audio.presets import MEL_PRESETS
from wavegrad.errors import AudioError

Kind = Literal[
    "transposed", "not finite", "bands", "hop", "length", "offset", "normalised", "log", "power", "floor", "range",
    "norm", "gain", "window", "content", "same",
]  # fmt: skip
UNEXPLAINED = 0.02
"""Share of the variation that may be left over: the rounding of float16, the wandering of a narrow band."""
OTHER_CONTENT = 0.6
"""Below this correlation the two are not of one recording, or nothing known relates them."""


@dataclass(frozen=True)
class Finding:
    """One reason, in a line that says what to do."""

    kind: Kind
    text: str


@dataclass(frozen=True)
class MelComparison:
    """B as a function of A: B = scale * A + offset, and what that leaves over."""

    findings: tuple[Finding, ...]
    scale: float
    offset: float
    residual: float
    """rms of what is left over, as a share of the variation of B inside its bands; 0 for an exact fit, 1 for none."""


@dataclass(frozen=True)
class _Fit:
    """Of B to A over the entries that are floored in neither."""

    scale: float
    correlation: float
    variation: float
    """rms of B inside its bands."""
    band_offsets: Float[Tensor, " n_mels"]

    @property
    def residual(self) -> float:
        return max(0.0, 1 - self.correlation**2) ** 0.5


def compare_mels(a: Float[Tensor, "bands_a frames_a"], b: Float[Tensor, "bands_b frames_b"]) -> MelComparison:
    """Find out what turned mel A into mel B; both of the same audio, in whatever convention.

    Bands and frames are brought together first, then B is fitted to A. The slope comes from the variation inside the
    bands (reduced major axis: it is not flattened by noise, as that of least squares is), so that a gain of each band
    does not touch it; what the fit leaves over is compared with what each further cause would leave.

    Raises:
        AudioError: fewer than 8 frames or 4 bands, or a mel without contrast.
    """
    findings: list[Finding] = []
    a, b = _finite(a, "A", findings), _finite(b, "B", findings)
    a, b = _upright(a, b, findings)
    if len(a) != len(b):
        findings.append(Finding("bands", f"bands: A has {len(a)}, B has {len(b)}; a vocoder reads one number only"))
    seen = len(findings)
    findings += [Finding(kind, text) for kind, text in frame_findings(a, b)]
    moved = len(findings) > seen  # interpolated below: that smooths, as a longer window does
    a, b = aligned_frames(a, b)
    if len(a) != len(b) or _fit(a, b).residual > 5 * UNEXPLAINED:
        warp = find_warp(a, b, lambda x, y: _fit(x, y).correlation)
        if not warp.is_identity:
            findings.append(Finding("range", warp.text))
        a, b = warp.apply(a, b)
    else:
        warp = BandWarp.identity(len(a))
    fit = _fit(a, b)
    if fit.correlation < OTHER_CONTENT:
        text = f"content: the best fit explains {fit.correlation**2:.0%} of the variation; are both of one recording?"
        findings.append(Finding("content", text))
    else:
        findings += _values(a, b, fit, smoothed=moved or not warp.is_identity)
    if not findings:
        findings.append(Finding("same", "same convention: nothing differs that can be seen in the values"))
    return MelComparison(tuple(findings), fit.scale, fit.band_offsets.median().item(), fit.residual)


def floored(mel: Float[Tensor, "n_mels frames"]) -> Bool[Tensor, "n_mels frames"]:
    """The entries that a floor has made equal; none where the smallest value is hardly repeated."""
    span = (mel.max() - mel.min()).clamp(min=1e-12)
    at_minimum = mel <= mel.min() + 1e-4 * span
    return at_minimum if int(at_minimum.sum()) >= max(4, mel.numel() // 2000) else torch.zeros_like(at_minimum)


def _finite(mel: Tensor, name: str, findings: list[Finding]) -> Float[Tensor, "n_mels frames"]:
    if mel.dim() == 3 and len(mel) == 1:
        mel = mel[0]
    if mel.dim() != 2 or mel.is_complex():
        raise AudioError(f"{name} is no mel: {mel.dtype} of shape {tuple(mel.shape)}; (n_mels, frames) is expected")
    mel, finite = mel.double(), torch.isfinite(mel)
    if not finite.any():
        raise AudioError(f"{name}: none of its values is finite")
    if not finite.all():
        share = 1 - finite.double().mean().item()
        text = f"floor: {share:.1%} of {name} is not finite (the log of zero?); clamp the band values before the log"
        findings.append(Finding("not finite", text))
        mel = mel.where(finite, mel[finite].min())
    return mel


def _upright(a: Tensor, b: Tensor, findings: list[Finding]) -> tuple[Tensor, Tensor]:
    """Both as bands x frames."""
    turned = []
    for name, mel, other in (("A", a, b), ("B", b, a)):
        if _is_transposed(mel, other):
            text = f"axes: {name} is transposed, {tuple(mel.shape)} where (n_mels, frames) is meant; pass {name}.T"
            findings.append(Finding("transposed", text))
            mel = mel.T
        turned.append(mel)
    a, b = turned
    for name, mel in (("A", a), ("B", b)):
        if mel.shape[0] < 4 or mel.shape[1] < 8:
            raise AudioError(
                f"{name} has {mel.shape[0]} bands and {mel.shape[1]} frames; 4 and 8 are needed to compare"
            )
        if mel.max() - mel.min() < 1e-9:
            raise AudioError(f"{name} has the same value everywhere; there is nothing to compare")
    return a, b


def _is_transposed(mel: Tensor, other: Tensor) -> bool:
    """By the axis that has a usual number of bands; where that is both or none, by the axis that the other one has."""
    usual = {preset.config.n_mels for preset in MEL_PRESETS.values()}
    rows, columns = mel.shape
    if (rows in usual) != (columns in usual):
        return columns in usual
    return rows != other.shape[0] and columns == other.shape[0]


def _fit(a: Tensor, b: Tensor) -> _Fit:
    heard = (~floored(a) & ~floored(b)).double()
    n = heard.sum(1, keepdim=True).clamp(min=1)
    mean_a, mean_b = (a * heard).sum(1, keepdim=True) / n, (b * heard).sum(1, keepdim=True) / n
    x, y = (a - mean_a) * heard, (b - mean_b) * heard
    norm_x, norm_y = x.norm().clamp(min=1e-12), y.norm().clamp(min=1e-12)
    scale = (norm_y / norm_x).item()
    usable = heard.sum(1) >= 8
    offsets = (mean_b - scale * mean_a)[usable if usable.any() else slice(None), 0]
    variation = (norm_y / n.sum().sqrt()).item()
    return _Fit(scale, ((x * y).sum() / (norm_x * norm_y)).item(), variation, offsets)


def _values(a: Tensor, b: Tensor, fit: _Fit, smoothed: bool) -> Iterator[Finding]:
    """What the values say about logarithm, normalisation, floor, gains and window."""
    offset = fit.band_offsets.median().item()
    span = (b.max() - b.min()).item()
    equation = f"B = {fit.scale:.4g} A {'-' if offset < 0 else '+'} {abs(offset):.4g}"
    normalised = normalisation(a, b)
    unit = None if normalised else change_of_unit(fit.scale, fit.residual)
    if normalised:
        yield Finding("normalised", f"normalisation: {normalised}; {equation}, undo it with that")
    elif unit is None:
        yield Finding(
            "normalised", f"scale: {equation}, the factor of no logarithm: a normalisation; undo it with that"
        )
    else:
        for kind, text in unit:
            yield Finding(kind, f"{text}; {equation}")
    yield from _floor(a, b, fit, offset)
    spread = (fit.band_offsets - offset).std().item()
    if spread > 0.02 * span and not smoothed:
        yield Finding(
            "norm",
            f"filterbank: the bands have gains of their own, from {fit.band_offsets.min() - offset:+.3g} to "
            f"{fit.band_offsets.max() - offset:+.3g}: triangles of area 1 (slaney norm) in one and of height 1 in the "
            "other, or a normalisation of each band",
        )
    elif unit == () and not normalised and _gain(a, b) > 0.005 * span + 0.5 * fit.residual * fit.variation:
        yield Finding(
            "gain", f"level: {equation}: another full scale (16-bit integers?), gain, reference or STFT normalisation"
        )
    is_power = unit is not None and any(kind == "power" for kind, _ in unit)
    if fit.residual > UNEXPLAINED and not smoothed and not is_power:
        in_db = unit is not None and any("dB" in text for _, text in unit)
        yield Finding(
            "window", _window(a, b, fit) + (", or powers stand for magnitudes: dB hide that" if in_db else "")
        )


def _floor(a: Tensor, b: Tensor, fit: _Fit, offset: float) -> Iterator[Finding]:
    low_a, low_b = floored(a), floored(b)
    share_a, share_b = low_a.double().mean().item(), low_b.double().mean().item()
    gap = abs(fit.scale * a.min().item() + offset - b.min().item())
    if gap > 0.03 * (b.max() - b.min()).item() and max(share_a, share_b) > 0:
        name, mel, share = ("B", b, share_b) if share_b > share_a else ("A", a, share_a)
        other = "A" if name == "B" else "B"
        yield Finding(
            "floor",
            f"floor: {share:.1%} of {name} lies on its floor, {mel.min().item():.4g}; {other} goes deeper there",
        )


def _gain(a: Tensor, b: Tensor) -> float:
    return abs((b - a)[~floored(a) & ~floored(b)].mean().item())


def _window(a: Tensor, b: Tensor, fit: _Fit) -> str:
    """The longer window changes more slowly from frame to frame."""
    heard = ~floored(a) & ~floored(b)
    both = heard[:, 1:] & heard[:, :-1]
    change = (b.diff(dim=1)[both].abs().mean() / a.diff(dim=1)[both].abs().mean() / fit.scale).item()
    longer = "A" if change > 1 else "B"
    return (
        f"window or FFT size: {fit.residual:.1%} of the variation is left over, and {longer} changes more slowly "
        f"({max(change, 1 / change):.2f} times): its window is longer"
    )
