"""Audio in and out: files, the log-mel front-end and its named conventions."""

from wavegrad.audio.consistency import MelConsistency
from wavegrad.audio.io import AudioInfo, AudioWarning, audio_info, read_audio, write_audio
from wavegrad.audio.mel import MelConfig, MelSpectrogram, band_amplitude, mel_filterbank
from wavegrad.audio.presets import MEL_PRESETS, MelPreset, mel_preset

__all__ = [
    "MEL_PRESETS",
    "AudioInfo",
    "AudioWarning",
    "MelConfig",
    "MelConsistency",
    "MelPreset",
    "MelSpectrogram",
    "audio_info",
    "band_amplitude",
    "mel_filterbank",
    "mel_preset",
    "read_audio",
    "write_audio",
]
