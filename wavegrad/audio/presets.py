"""Named front-ends and where they come from."""

from dataclasses import dataclass

from wavegrad.audio.mel import MelConfig
from wavegrad.errors import ConfigError, unknown


@dataclass(frozen=True)
class MelPreset:
    """A front-end and its source."""

    config: MelConfig
    source: str


MEL_PRESETS: dict[str, MelPreset] = {
    "wavegrad-24k": MelPreset(
        MelConfig(
            sample_rate=24000, n_fft=2048, win_length=1200, hop_length=300, n_mels=128, f_min=20.0, f_max=12000.0
        ),
        "WaveGrad (arXiv 2009.00713): 24 kHz, 128 bands, 50 ms window, 12.5 ms hop, 2048 points, 20 Hz to 12 kHz. The "
        "paper leaves the rest open; chosen here: magnitudes, slaney scale and norm, ln of at least 1e-5, reflected "
        "ends, no centring",
    ),
    "hifigan-22k": MelPreset(
        MelConfig(
            sample_rate=22050,
            n_fft=1024,
            win_length=1024,
            hop_length=256,
            n_mels=80,
            f_min=0.0,
            f_max=8000.0,
            magnitude_epsilon=1e-9,
        ),
        "jik876/hifi-gan, meldataset.py and config_v1.json",
    ),
}


def mel_preset(name: str) -> MelConfig:
    """The front-end of that name. ConfigError, with the nearest known name, if there is none."""
    if name not in MEL_PRESETS:
        raise ConfigError(unknown("mel preset", name, MEL_PRESETS))
    return MEL_PRESETS[name].config
