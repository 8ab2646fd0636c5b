"""The model that a recipe trains: front-end, network and prior by name, and what differs from the presets."""

from dataclasses import dataclass, replace

from wavegrad.audio.mel import MelConfig
from wavegrad.audio.presets import mel_preset
from wavegrad.audio.prior import PriorConfig
from wavegrad.network import WaveGradConfig, network_preset


@dataclass(frozen=True)
class MelChanges:
    """What differs from the mel preset; what is left out is the preset's."""

    sample_rate: int | None = None
    """Hz."""
    n_fft: int | None = None
    """Points of the Fourier transform."""
    win_length: int | None = None
    """Samples of the window."""
    hop_length: int | None = None
    """Samples from one frame to the next."""
    n_mels: int | None = None
    """Bands."""
    f_min: float | None = None
    """Lower edge of the lowest band, Hz."""
    f_max: float | None = None
    """Upper edge of the highest band, Hz."""

    def of(self, preset: MelConfig) -> MelConfig:
        return replace(preset, **{key: value for key, value in vars(self).items() if value is not None})


@dataclass(frozen=True)
class ModelRecipe:
    """Front-end, network and prior."""

    mel: str
    """Mel preset, for example "wavegrad-24k" (`wavegrad models` lists them)."""
    network: str
    """Network preset: "base", "large", "small" or "tiny"."""
    factors: tuple[int, ...] | None = None
    """Upsampling factors; left out, those known for the hop length of the mel."""
    mel_mean: float = 0.0
    """Mean of the corpus' mel values: the network sees (mel - mel_mean) / mel_std."""
    mel_std: float = 1.0
    """Standard deviation of the corpus' mel values."""
    mel_changes: MelChanges = MelChanges()
    """Another rate, resolution or range than the preset's."""
    prior: PriorConfig = PriorConfig()
    """The noise that sampling starts from."""
    default_schedule: str = "6"
    """Name of the inference schedule that the model uses when none is asked for."""
    griffin_lim: int = 0
    """Iterations of Griffin-Lim that the model appends to the refinement when none are asked for."""

    def mel_config(self) -> MelConfig:
        return self.mel_changes.of(mel_preset(self.mel))

    def network_config(self) -> WaveGradConfig:
        mel = self.mel_config()
        preset = network_preset(self.network, mel.n_mels, self.factors, mel.hop_length)
        return replace(preset, mel_mean=self.mel_mean, mel_std=self.mel_std)
