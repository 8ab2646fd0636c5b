"""Griffin-Lim that starts from the vocoder's own waveform, and ends where its mel is the mel that was asked for.

A sampler of few steps leaves a waveform whose mel is off by decibels, and whose phases do not quite fit each other.
GLA-Grad (Liu et al. 2024, arXiv 2402.15516) mends that by Griffin-Lim inside WaveGrad's steps. Differs from it: here
the iterations come after the last step, so that they work behind every sampler and cannot drive the network astray; and
the magnitudes are not those of a pseudo-inverse of the mel, which knows nothing between the bands, but the vocoder's
own, scaled until their mel is right.
"""

import copy
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from wavegrad.audio.mel import MelConfig, band_values, mel_filterbank, pad, padding
from wavegrad.audio.native_consistency import Bands, NativeProjection, SparseBands, Spectra, give_mel
from wavegrad.compiled import if_it_works
from wavegrad.errors import ConfigError
from wavegrad.shapes import Mel, Waveform

MOMENTUM = 0.99
"""Of the phases (Perraudin et al. 2013)."""
TINY = 1e-12
"""Nothing is divided by less: far below the quietest sound of 16 bits."""

Frames = Float[Tensor, "batch frames win_length"]


class MelConsistency(nn.Module):
    """Fast Griffin-Lim (Perraudin, Balazs and Sondergaard 2013) towards a mel, from any waveform.

    Two projections take turns. One makes a spectrogram that belongs to a waveform: overlap-add, and transform again.
    The other gives it the right mel: every bin is multiplied by the mean of (wanted / present) over its bands, weighted
    as the filterbank weighs them, which is the multiplicative update of Lee and Seung (2001, eq. 5) for the
    Kullback-Leibler divergence. Phases are extrapolated beyond the last projection by `MOMENTUM`, magnitudes are not.

    The module has no parameters and nothing in its state dict.

    Args:
        config: the mel convention. Bins that are in no band keep their magnitudes; where a mel stands at its floor or
            ceiling it is a bound, not a value.
        n_iter: iterations; 0 leaves the waveform as it is.
        dtype: of the waveforms.
        fused: whether the projection onto the mel may be one pass in C, where it can be (`native_consistency.py`).

    Raises:
        ConfigError: a negative number, or windows of less than two hops, which do not overlap enough.
    """

    window: Tensor
    filterbank: Tensor
    to_bins: Tensor
    """`n_mels n_freqs`: means over the bands that a bin is in, weighted as the filterbank weighs them."""
    unheard: Tensor
    """1 for bins in no band, or with the rounding of an edge only; 0 for the others."""

    def __init__(self, config: MelConfig, n_iter: int, dtype: torch.dtype = torch.float32, fused: bool = True) -> None:
        super().__init__()
        check_iterations(n_iter, config)
        self.config = config
        self.n_iter = n_iter
        self.fused = fused
        filterbank = mel_filterbank(config)
        self.register_buffer("window", torch.hann_window(config.win_length, dtype=dtype), persistent=False)
        by_bin = filterbank.to(dtype).mT.contiguous()  # the product with few frames takes a third of the time
        self.register_buffer("filterbank", by_bin.mT, persistent=False)
        weights = filterbank.sum(0)
        weights = weights.where(weights > 1e-6 * weights.max(), torch.inf)
        self.register_buffer("to_bins", (filterbank / weights).to(dtype), persistent=False)
        self.register_buffer("unheard", weights.isinf().to(dtype), persistent=False)

    def with_iterations(self, n_iter: int) -> "MelConsistency":
        """The same, on the same tables, with another number of iterations; ConfigError as when it was made."""
        check_iterations(n_iter, self.config)
        other = copy.copy(self)
        other.n_iter = n_iter
        return other

    def forward(self, waveform: Waveform, mel: Mel, frames: Sequence[int] | None = None) -> Waveform:
        """A waveform of the same length whose mel is nearer to `mel`.

        Args:
            waveform: `batch frames*hop_length`.
            mel: `batch n_mels frames`.
            frames: of each item, where the items have different lengths. Each becomes what it would alone, then zeros;
                beyond its end waveform and mel may hold any finite values.
        """
        ends = None if frames is None or min(frames) == mel.shape[2] else ItemEnds.of(frames, mel, self.config)
        bands, energy, n_samples = self.bounds(mel), self.energy(mel.shape[2], ends), waveform.shape[1]
        previous: Spectra | None = None
        for _ in range(self.n_iter):
            present = self.spectra(self.cut(waveform, ends)[:, : mel.shape[2]])
            wanted = self.wanted(present, present if previous is None else previous, bands)
            made = self.frames(wanted)
            waveform = self.join(made if ends is None else made.mul_(ends.frame_mask), energy, n_samples)
            previous = present
        return waveform if ends is None else waveform.where(ends.sample_mask, 0.0)

    def bounds(self, mel: Mel) -> tuple[Bands, Bands]:
        """What the filterbank may give, at least and at most."""
        values, config = band_values(mel, self.config), self.config
        low = values.where(mel > config.minimum, 0.0)
        high = values if config.clamp_max is None else values.where(mel < config.clamp_max, torch.inf)
        return low.mT.contiguous(), high.mT.contiguous()

    def wanted(self, present: Spectra, previous: Spectra, bands: tuple[Bands, Bands]) -> Spectra:
        """`present` with phases that go on from `previous`, and the right mel."""
        single = present.dtype == torch.complex64 and bands[0].dtype == torch.float32
        differentiable = torch.is_grad_enabled() and any(x.requires_grad for x in (present, previous, *bands))
        if self.fused and present.device.type == "cpu" and single and not differentiable:
            native = native_projection(self.config)
            if native is not None:
                return native(present, previous, bands)
        return self.projected(present, previous, bands)

    def projected(self, present: Spectra, previous: Spectra, bands: tuple[Bands, Bands]) -> Spectra:
        """`wanted` by PyTorch's operations."""
        magnitudes = _modulus(present)
        further = torch.view_as_real(previous).lerp(torch.view_as_real(present), 1 + MOMENTUM)
        phases = torch.view_as_complex(further)
        return phases * (magnitudes * self.gains(magnitudes, bands) / _modulus(phases).clamp(min=TINY))

    def gains(
        self, magnitudes: Float[Tensor, "batch frames n_freqs"], bands: tuple[Bands, Bands]
    ) -> Float[Tensor, "batch frames n_freqs"]:
        """What brings the mel of these magnitudes to `bands`, or nearer: Lee and Seung 2001, eq. 5."""
        scaled = magnitudes / self.window.norm() if self.config.stft_normalized else magnitudes
        x = scaled.square() if self.config.power == 2 else scaled
        heard = x @ self.filterbank.mT
        ratios = heard.clamp(*bands) / heard.clamp(min=TINY)
        gains = ratios @ self.to_bins + self.unheard
        return gains.sqrt() if self.config.power == 2 else gains

    def cut(self, waveform: Waveform, ends: "ItemEnds | None" = None) -> Frames:
        """The stretches under the windows, the ends reflected."""
        padded = pad(waveform, *edges(self.config), "reflect") if ends is None else waveform.gather(1, ends.reflected)
        return padded.unfold(1, self.config.win_length, self.config.hop_length)

    def spectra(self, frames: Frames) -> Spectra:
        """Windowed and transformed, as the front-end does it but for the phase of a delay."""
        return torch.fft.rfft(frames * self.window, n=self.config.n_fft)

    def frames(self, spectra: Spectra) -> Frames:
        """Back, and windowed again for the overlap-add."""
        return torch.fft.irfft(spectra, n=self.config.n_fft)[..., : self.config.win_length] * self.window

    def energy(self, n_frames: int, ends: "ItemEnds | None" = None) -> Float[Tensor, "#batch joined"]:
        """The squared windows of so many frames, added up: what a waveform was multiplied by."""
        squares = self.window.square().expand(1, n_frames, -1)
        return overlap_add(squares if ends is None else squares * ends.frame_mask, self.config.hop_length).clamp(
            min=TINY
        )

    def join(self, frames: Frames, energy: Float[Tensor, "#batch joined"], n_samples: int) -> Waveform:
        """The waveform whose spectra are nearest (Griffin and Lim 1984, eq. 6), the reflected ends cut off."""
        left = edges(self.config)[0]
        return (overlap_add(frames, self.config.hop_length) / energy)[:, left : left + n_samples]


@dataclass(frozen=True)
class ItemEnds:
    """Where the items of a batch end, if not all where the batch ends."""

    reflected: Int[Tensor, "batch padded"]
    """Which sample of an item stands where in the padded waveform: the reflection repeats, as that of `pad`."""
    frame_mask: Float[Tensor, "batch frames 1"]
    """1 for the frames of an item, 0 beyond its end."""
    sample_mask: Bool[Tensor, "batch time"]
    """Whether a sample is one of the item's."""

    @classmethod
    def of(cls, frames: Sequence[int], mel: Mel, config: MelConfig) -> "ItemEnds":
        """Of items of so many frames in the batch of `mel`, whose device and precision they get."""
        n_frames, hop = mel.shape[2], config.hop_length
        left, right = edges(config)
        n = torch.tensor(frames, device=mel.device)[:, None]
        last, time = n * hop - 1, torch.arange(-left, n_frames * hop + right, device=mel.device)
        reflected = last - (time.remainder((2 * last).clamp(min=1)) - last).abs()
        inside = torch.arange(n_frames, device=mel.device) < n
        return cls(reflected, inside.to(mel.dtype)[:, :, None], inside.repeat_interleave(hop, dim=1))


@lru_cache(maxsize=16)
def native_projection(config: MelConfig) -> NativeProjection | None:
    """That of a convention, where it can be compiled and was seen to work.

    Warns:
        KernelWarning: it does not work, or cannot be compiled.
    """

    def load_and_check() -> NativeProjection:
        plain = MelConsistency(config, 1)
        scale = 1 / plain.window.norm().item() if config.stft_normalized else 1.0
        bands = SparseBands.of(plain.filterbank, plain.to_bins, plain.unheard)
        native = NativeProjection(give_mel(), bands, MOMENTUM, scale, int(config.power), TINY)
        generator = torch.Generator().manual_seed(0)
        spectra = torch.randn(2, 3, config.n_fft // 2 + 1, dtype=torch.complex64, generator=generator)
        low, high = torch.rand(2, 1, 3, config.n_mels, generator=generator)
        probe = spectra[:1], spectra[1:], (low, high)
        if not torch.allclose(native(*probe), plain.projected(*probe), rtol=1e-3, atol=1e-3):
            raise RuntimeError("the projection of a spectrogram differs from PyTorch's")
        return native

    return if_it_works(load_and_check)


def _modulus(z: Spectra) -> Float[Tensor, "batch frames n_freqs"]:
    """|z|, in a quarter of the time of torch.abs, which guards against overflow."""
    return torch.addcmul(z.real.square(), z.imag, z.imag).sqrt_()


def check_iterations(n_iter: int, config: MelConfig) -> None:
    """Raise ConfigError unless there can be so many for this mel."""
    try:
        whole = operator.index(n_iter)
    except TypeError:
        whole = -1
    if whole < 0:
        raise ConfigError(f"griffin_lim is {n_iter!r}; it must be 0 (none) or a number of iterations")
    if n_iter and config.win_length < 2 * config.hop_length:
        raise ConfigError(
            f"Griffin-Lim needs windows of two hops or more; this mel has win_length {config.win_length} and "
            f"hop_length {config.hop_length}: set griffin_lim to 0"
        )


def edges(config: MelConfig) -> tuple[int, int]:
    """Samples beyond each end that the windows see; less than the transform's."""
    unseen = config.n_fft - config.win_length
    left, right = padding(config)
    return left - unseen // 2, right - (unseen - unseen // 2)


def overlap_add(frames: Frames, hop: int) -> Waveform:
    """Frame k begins at sample k * hop: `batch (frames - 1) * hop + win_length`, or up to a hop of zeros more."""
    n_frames, n_parts = frames.shape[1], -(-frames.shape[2] // hop)
    parts = F.pad(frames, (0, n_parts * hop - frames.shape[2])).unflatten(2, (n_parts, hop))
    out = frames.new_zeros(len(frames), n_frames + n_parts - 1, hop)
    for k in range(n_parts):
        out[:, k : k + n_frames] += parts[:, :, k]
    return out.flatten(1)
