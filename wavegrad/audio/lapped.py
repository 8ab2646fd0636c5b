"""An orthogonal lapped transform: a spectrogram that can be undone exactly.

Segments of `hop` samples, folded into each other across their borders and taken through a DCT-IV (the MDCT of Princen
and Bradley 1986; Malvar 1992). The transform is an orthogonal matrix for every length of `frames * hop` samples, ends
included: the outer borders are not folded.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.shapes import Waveform

Coefficients = Float[Tensor, "batch frames hop"]


def lapped(waveform: Waveform, hop: int) -> Coefficients:
    """`batch frames*hop` -> `batch frames hop`: coefficient k of a frame lies at (k + 1/2) / (2 hop) of the sample
    rate."""
    segments = waveform.unflatten(1, (-1, hop))
    return _rotate(segments, sign=1.0) @ dct_iv(hop, waveform)


def inverse_lapped(coefficients: Coefficients) -> Waveform:
    """`batch frames hop` -> `batch frames*hop`; the inverse, which is the transpose, of `lapped`."""
    segments = coefficients @ dct_iv(coefficients.shape[2], coefficients)
    return _rotate(segments, sign=-1.0).flatten(1)


def _rotate(segments: Coefficients, sign: float) -> Coefficients:
    """Rotate each sample left of an inner border and its mirror image on the right by the angle of the window."""
    n_fold = segments.shape[2] // 2
    near, far = rotation(n_fold, sign, segments)
    left = segments[:, :-1, -n_fold:].flip(2)
    right = segments[:, 1:, :n_fold]
    rotated = segments.clone()
    rotated[:, 1:, :n_fold] = near * right + far * left
    rotated[:, :-1, -n_fold:] = (near * left - far * right).flip(2)
    return rotated


def rotation(n_fold: int, sign: float, like: Tensor) -> tuple[Float[Tensor, " n_fold"], Float[Tensor, " n_fold"]]:
    """Weights of a sample and of its mirror image, from an inner border outwards."""
    t = torch.arange(n_fold, dtype=like.dtype, device=like.device)
    angle = math.pi / 4 * (1 + (t + 0.5) / n_fold)  # pi/4 at the border, pi/2 at the end of the fold
    return angle.sin(), sign * angle.cos()


def dct_iv(n: int, like: Tensor) -> Float[Tensor, "n n"]:
    """The DCT-IV matrix: symmetric and its own inverse."""
    grid = torch.arange(n, dtype=torch.float64, device=like.device) + 0.5
    return (math.sqrt(2 / n) * torch.cos(math.pi / n * grid[:, None] * grid)).to(like.dtype)
