"""How far waveforms are apart in their spectrograms: differentiable, and the energy distance that is made of it."""

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import pad
from wavegrad.shapes import Waveform

Magnitudes = Float[Tensor, "batch _ _"]
"""Of bins and frames; how many depends on the window."""

WINDOWS = (2048, 1024, 512, 256, 128)
"""Samples."""
FLOOR = 1e-4
"""Magnitudes below it count as it: the logarithm of silence says nothing."""
ROUND = 1e-8
"""Added below the root of the log term, whose gradient at 0 would be infinite."""
KNEE = 1000.0
"""Hz: up to here all bins count alike, above it with 1 / frequency, as on the mel scale of Slaney (1998)."""


class SpectralDistance:
    """d(x, y) of Gritsenko et al. 2020 (A Spectral Energy Distance for Parallel Speech Synthesis, arXiv
    2008.01160).

    At each window: the mean of |X - Y| over the mean magnitude of a reference, plus the mean over the frames of the
    root of the mean square of log X - log Y; then the mean over the windows. Both are norms of a difference, which is
    what `energy` needs. Nothing is kept on a device, and no call waits for one.

    Differs from the paper: means in the place of sums, so that no length counts; the first term is relative, so that a
    quiet crop counts as much as a loud one; bins count as much as they have of the mel scale, or the upper octave,
    noise in speech, would count as much as all the others; windows of 64 samples are left out.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int):
        self.sample_rate = sample_rate

    def spectra(self, waveforms: Waveform) -> tuple[Magnitudes, ...]:
        """Magnitudes of short-time Fourier transforms, one for each of WINDOWS (Hann, a quarter of it to the next, ends
        reflected), in float32 or what is more precise."""
        waveforms = waveforms.to(torch.promote_types(waveforms.dtype, torch.float32))
        return tuple(_magnitudes(waveforms, length) for length in WINDOWS)

    def __call__(
        self, x: tuple[Magnitudes, ...], y: tuple[Magnitudes, ...], reference: tuple[Magnitudes, ...]
    ) -> Float[Tensor, " batch"]:
        """d(x, y) of each item.

        Args:
            x: `spectra` of a batch.
            y: of another.
            reference: whose level the magnitudes are relative to.
        """
        return torch.stack([self._at_window(*three) for three in zip(x, y, reference, strict=True)]).mean(0)

    def energy(self, reference: Waveform, first: Waveform, second: Waveform) -> Float[Tensor, " batch"]:
        """(d(x, y) + d(x, y') - d(y, y')) / 2 of each item: a recording and two draws for its mel (Gritsenko et al.
        2020; half of it, without d(x, x'), which has no gradient).

        Its expectation is smallest where draws are distributed as recordings are: the last term keeps them as rough and
        as diverse. d(x, y) alone is smallest for one smooth compromise.
        """
        x, y, other = (self.spectra(waveforms) for waveforms in (reference, first, second))
        return 0.5 * (self(x, y, x) + self(x, other, x) - self(y, other, x))

    def _at_window(self, x: Magnitudes, y: Magnitudes, reference: Magnitudes) -> Float[Tensor, " batch"]:
        frequency = torch.linspace(0, self.sample_rate / 2, x.shape[1], dtype=x.dtype, device=x.device)
        weights = 1 / frequency.clamp(min=KNEE)
        weights = (weights / weights.sum())[:, None]
        linear = (weights * (x - y).abs()).sum(1).mean(1) / (weights * reference).sum(1).mean(1)
        logarithmic = ((weights * (x.log() - y.log()).square()).sum(1) + ROUND).sqrt().mean(1)
        return linear + logarithmic


def _magnitudes(waveforms: Waveform, length: int) -> Magnitudes:
    window = torch.hann_window(length, dtype=waveforms.dtype, device=waveforms.device)
    padded = pad(waveforms, length // 2, length // 2, "reflect")
    stft = torch.stft(padded, length, length // 4, length, window, center=False, return_complex=True)
    return (stft.real.square() + stft.imag.square()).clamp(min=FLOOR**2).sqrt()
