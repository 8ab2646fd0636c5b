"""WaveGrad: mel spectrogram in, speech out, by refining noise (Chen et al. 2021, arXiv 2009.00713).

The public names are imported when they are first asked for, so that `import wavegrad` and `wavegrad --help` stay fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from wavegrad.errors import WavegradError

if TYPE_CHECKING:
    from wavegrad.audio import MelConfig, MelSpectrogram, mel_preset
    from wavegrad.diffusion import NoiseSchedule, named_schedule
    from wavegrad.network import WaveGrad, WaveGradConfig, network_preset
    from wavegrad.vocoder import Vocoder

__version__ = "0.1.0"

__all__ = [
    "MelConfig",
    "MelSpectrogram",
    "NoiseSchedule",
    "Vocoder",
    "WaveGrad",
    "WaveGradConfig",
    "WavegradError",
    "__version__",
    "mel_preset",
    "named_schedule",
    "network_preset",
]

_HOMES = {
    "MelConfig": "wavegrad.audio",
    "MelSpectrogram": "wavegrad.audio",
    "NoiseSchedule": "wavegrad.diffusion",
    "Vocoder": "wavegrad.vocoder",
    "WaveGrad": "wavegrad.network",
    "WaveGradConfig": "wavegrad.network",
    "mel_preset": "wavegrad.audio",
    "named_schedule": "wavegrad.diffusion",
    "network_preset": "wavegrad.network",
}

if not TYPE_CHECKING:  # a type checker would take any name for granted

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
