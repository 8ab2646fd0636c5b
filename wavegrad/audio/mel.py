"""The log-mel front-end: one frozen description, one differentiable module, and the way back to a level."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from wavegrad.audio.filterbank import MelNorm, MelScale, band_edges, triangles
from wavegrad.errors import AudioError, ConfigError, unknown
from wavegrad.shapes import Mel, Waveform

Log = Literal["ln", "log10", "db"]
Centring = Literal["center", "same"]
PadMode = Literal["reflect", "constant"]


@dataclass(frozen=True)
class MelConfig:
    """A mel convention, in the order in which it is computed.

    pad -> STFT, periodic Hann window -> sqrt(re^2 + im^2 + magnitude_epsilon) -> ** power -> filterbank -> clamp to
    `floor` -> log -> - reference_level -> * scale + offset -> clamp to [clamp_min, clamp_max].
    """

    sample_rate: int
    """Hz."""
    n_fft: int
    """Points of the Fourier transform; even."""
    win_length: int
    """Samples of the window, which stands in the middle of the `n_fft` points."""
    hop_length: int
    """Samples from one frame to the next."""
    n_mels: int
    """Bands."""
    f_min: float
    """Lower edge of the lowest band, Hz."""
    f_max: float
    """Upper edge of the highest band, Hz."""
    mel_scale: MelScale = "slaney"
    """"htk" or "slaney"."""
    mel_norm: MelNorm = "slaney"
    """Triangles of height 1 ("none") or of area 1 Hz ("slaney")."""
    power: float = 1.0
    """What the bands add up: magnitudes (1) or powers (2)."""
    magnitude_epsilon: float = 0.0
    """Added below the square root of the magnitude."""
    stft_normalized: bool = False
    """Divide the transform by sqrt(sum of window^2), so that white noise keeps its rms."""
    log: Log = "ln"
    """"ln", "log10", or "db" (20 log10 of a magnitude, 10 log10 of a power)."""
    floor: float = 1e-5
    """Smallest band value before the logarithm."""
    reference_level: float = 0.0
    """Subtracted after the logarithm, in its unit."""
    centring: Centring = "same"
    """"center": n_fft / 2 samples of padding on both sides, 1 + n // hop frames, frame k is centred on sample k * hop.
    "same": (n_fft - hop) / 2 on both sides (an odd one on the right), n // hop frames, frame k on (k + 1/2) * hop."""
    pad_mode: PadMode = "reflect"
    """"reflect" or "constant" (zeros)."""
    scale: float = 1.0
    """Factor of the final normalisation."""
    offset: float = 0.0
    """Summand of the final normalisation."""
    clamp_min: float | None = None
    """Lower limit of the final value."""
    clamp_max: float | None = None
    """Upper limit of the final value."""

    def __post_init__(self) -> None:
        for name in ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name, choices in (
            ("mel_scale", MelScale),
            ("mel_norm", MelNorm),
            ("log", Log),
            ("centring", Centring),
            ("pad_mode", PadMode),
        ):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(unknown(name, getattr(self, name), get_args(choices)))
        for name in ("f_min", "f_max", "magnitude_epsilon", "floor", "reference_level", "scale", "offset"):
            if not math.isfinite(getattr(self, name)):
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be finite")
        self._check_ranges()

    def _check_ranges(self) -> None:
        if self.n_fft % 2:
            raise ConfigError(f"n_fft is {self.n_fft}; it must be even")
        if not self.hop_length <= self.win_length <= self.n_fft:
            raise ConfigError(
                f"hop_length {self.hop_length}, win_length {self.win_length} and n_fft {self.n_fft} must not decrease: "
                "the windows must cover every sample and fit into the transform"
            )
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ConfigError(
                f"f_min {self.f_min} and f_max {self.f_max}: 0 <= f_min < f_max <= {self.sample_rate / 2} Hz, half the "
                "sample rate, must hold"
            )
        if self.power not in (1, 2):
            raise ConfigError(f"power is {self.power}; it must be 1 (magnitude) or 2 (power)")
        if self.magnitude_epsilon < 0:
            raise ConfigError(f"magnitude_epsilon is {self.magnitude_epsilon}; it must not be negative")
        if self.floor <= 0:
            raise ConfigError(f"floor is {self.floor}; it must be above 0, or silence would be minus infinity")
        if self.scale <= 0:
            raise ConfigError(f"scale is {self.scale}; it must be above 0, so that louder is more")
        if self.clamp_min is not None and self.clamp_max is not None and self.clamp_min >= self.clamp_max:
            raise ConfigError(f"clamp_min {self.clamp_min} must be below clamp_max {self.clamp_max}")

    def n_frames(self, n_samples: int) -> int:
        """Frames of a waveform of `n_samples`: n // hop_length ("same") or 1 + n // hop_length ("center")."""
        return n_samples // self.hop_length + (self.centring == "center")

    def n_samples(self, n_frames: int) -> int:
        """Samples that a vocoder makes of `n_frames`: exactly frames * hop_length."""
        return n_frames * self.hop_length

    @property
    def units_per_neper(self) -> float:
        """What a factor of e in the band value adds to the logarithm: 1, 0.43, 8.7 dB (magnitude) or 4.3 dB (power)."""
        return {"ln": 1.0, "log10": 1 / math.log(10), "db": 20 / self.power / math.log(10)}[self.log]

    @property
    def minimum(self) -> float:
        """The smallest value: that of silence, unless `magnitude_epsilon` alone lifts a band above `floor`."""
        return self._value(self.floor)

    @cached_property
    def maximum_plausible(self) -> float:
        """The largest value: no waveform within [-1, 1] exceeds it in any band.

        By Parseval half of n_fft * sum(window^2) bounds the energy in the bins; by Cauchy and Schwarz a sum of
        magnitudes is at most the norm of its weights times the root of that.
        """
        weights = mel_filterbank(self)
        energy = 0.5 * self.n_fft * (1.0 if self.stft_normalized else _window_energy(self))
        largest = weights.max().item() * energy if self.power == 2 else weights.norm(dim=1).max().item() * energy**0.5
        return self._value(largest)

    def _value(self, band: float) -> float:
        level = math.log(max(band, self.floor)) * self.units_per_neper - self.reference_level
        value = level * self.scale + self.offset
        value = value if self.clamp_min is None else max(value, self.clamp_min)
        return value if self.clamp_max is None else min(value, self.clamp_max)


class MelSpectrogram(nn.Module):
    """Waveform `batch time` -> mel `batch n_mels frames`, on CPU or CUDA; differentiable.

    Computed in float64 whatever the waveform and autocast say: the logarithm of a quiet band beside a loud one
    magnifies the rounding of float32 to 4e-4. The module has no parameters and nothing in its state dict.
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("window", _window(config), persistent=False)
        self.register_buffer("filterbank", mel_filterbank(config), persistent=False)

    def forward(self, waveform: Waveform) -> Mel:
        """The mel of a waveform in [-1, 1], in its precision.

        Raises:
            AudioError: the waveform is too short for one frame.
        """
        return self.of_padded(pad_ends(waveform, self.config))

    def of_padded(self, padded: Float[Tensor, "batch padded"]) -> Mel:
        """The frames of a waveform that has its padding, or the inner frames of one that has none."""
        config = self.config
        bands = self.filterbank.double() @ self._spectrum(padded.double())
        level = bands.clamp(min=config.floor).log() * config.units_per_neper - config.reference_level
        mel = level * config.scale + config.offset
        if config.clamp_min is not None or config.clamp_max is not None:
            mel = mel.clamp(config.clamp_min, config.clamp_max)
        return mel.to(padded.dtype)

    def _spectrum(self, padded: Waveform) -> Float[Tensor, "batch n_freqs frames"]:
        """Magnitudes or powers."""
        config = self.config
        window = self.window.double()
        stft = torch.stft(
            padded, config.n_fft, config.hop_length, config.win_length, window, center=False, return_complex=True
        )
        if config.stft_normalized:
            stft = stft / window.norm()
        if config.magnitude_epsilon == 0 and config.power == 1:
            return stft.abs()  # its gradient at 0 is 0; that of a square root is infinite
        power = stft.real.square() + stft.imag.square() + config.magnitude_epsilon
        return power if config.power == 2 else power.sqrt()


def mel_filterbank(config: MelConfig) -> Float[Tensor, "n_mels n_freqs"]:
    """Weight of each bin of the transform in each band, float64."""
    frequencies = torch.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1, dtype=torch.float64)
    edges = band_edges(config.n_mels, config.f_min, config.f_max, config.mel_scale)
    return triangles(edges, frequencies, config.mel_norm)


def band_centres(config: MelConfig) -> Float[Tensor, " n_mels"]:
    """Centre frequency of each band, Hz, float64."""
    return band_edges(config.n_mels, config.f_min, config.f_max, config.mel_scale)[1:-1]


def band_values(mel: Mel, config: MelConfig) -> Mel:
    """The filterbank's output that a mel stands for: normalisation and logarithm undone. What the clamps cut off is
    lost."""
    level = (mel - config.offset) / config.scale + config.reference_level
    return (level / config.units_per_neper).exp()


class BandAmplitude(nn.Module):
    """What a mel says about loudness: the rms of the white noise that would have this expected value in the band.

    Undoes normalisation, logarithm and window. A band too narrow to contain a bin of the transform knows nothing, and
    takes its nearest neighbour's value. What the clamps cut off is lost.
    """

    nearest: Tensor
    weights: Tensor

    def __init__(self, config: MelConfig) -> None:
        super().__init__()
        self.config = config
        weights = mel_filterbank(config).sum(1)
        heard = weights.nonzero()[:, 0]
        nearest = heard[(torch.arange(config.n_mels)[:, None] - heard).abs().argmin(1)]
        self.register_buffer("nearest", nearest, persistent=False)
        self.register_buffer("weights", weights[nearest, None], persistent=False)
        self._window_rms = 1.0 if config.stft_normalized else math.sqrt(_window_energy(config))

    def forward(self, mel: Mel) -> Mel:
        """Amplitudes of the bands, in the precision of the mel."""
        bands = band_values(mel[:, self.nearest], self.config) / self.weights.to(mel.dtype)
        rayleigh = 2 / math.sqrt(math.pi)  # rms over mean of a Rayleigh distribution
        return (bands.sqrt() if self.config.power == 2 else bands * rayleigh) / self._window_rms


def band_amplitude(mel: Mel, config: MelConfig) -> Mel:
    """`BandAmplitude` of a single mel."""
    return BandAmplitude(config).to(mel.device)(mel)


def _window(config: MelConfig) -> Float[Tensor, " win_length"]:
    return torch.hann_window(config.win_length, dtype=torch.float64)


def _window_energy(config: MelConfig) -> float:
    return _window(config).square().sum().item()


def padding(config: MelConfig) -> tuple[int, int]:
    """Samples that stand before and after the waveform."""
    total = config.n_fft if config.centring == "center" else config.n_fft - config.hop_length
    return total // 2, total - total // 2


def pad_ends(waveform: Waveform, config: MelConfig) -> Float[Tensor, "batch padded"]:
    """Pad both ends as the convention says; AudioError where the waveform is too short for a frame."""
    check_length(waveform.shape[1], config)
    return pad(waveform, *padding(config), config.pad_mode)


def check_length(n_samples: int, config: MelConfig) -> None:
    """Raise AudioError unless so many samples are enough for a frame."""
    shortest = max(2, config.hop_length if config.centring == "same" else 0)
    if n_samples < shortest:
        raise AudioError(f"{n_samples} samples are too few for a frame; this front-end needs at least {shortest}")


def pad(waveform: Waveform, left: int, right: int, mode: PadMode) -> Float[Tensor, "batch padded"]:
    """Zeros, or reflections, which repeat where the waveform is shorter than the padding."""
    if mode == "constant":
        return F.pad(waveform, (left, right))
    while left or right:
        most = waveform.shape[1] - 1
        waveform = F.pad(waveform, (min(left, most), min(right, most)), mode="reflect")
        left, right = left - min(left, most), right - min(right, most)
    return waveform
