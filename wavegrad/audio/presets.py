"""Named front-ends and where they come from."""

from dataclasses import dataclass, replace

from wavegrad.audio.mel import MelConfig
from wavegrad.errors import ConfigError, unknown


@dataclass(frozen=True)
class MelPreset:
    """A front-end and its source."""

    config: MelConfig
    source: str
    """Paper or public file, and what differs from it."""


_LMNT = MelConfig(
    sample_rate=22050,
    n_fft=2048,
    win_length=1200,
    hop_length=300,
    n_mels=128,
    f_min=20.0,
    f_max=11025.0,
    mel_scale="htk",
    mel_norm="none",
    stft_normalized=True,
    log="db",
    reference_level=20.0,
    centring="center",
    scale=0.01,
    offset=1.0,
    clamp_min=0.0,
    clamp_max=1.0,
)

_HIFIGAN = MelConfig(
    sample_rate=22050,
    n_fft=1024,
    win_length=1024,
    hop_length=256,
    n_mels=80,
    f_min=0.0,
    f_max=8000.0,
    magnitude_epsilon=1e-9,
)

MEL_PRESETS: dict[str, MelPreset] = {
    "wavegrad-24k": MelPreset(
        MelConfig(
            sample_rate=24000, n_fft=2048, win_length=1200, hop_length=300, n_mels=128, f_min=20.0, f_max=12000.0
        ),
        "WaveGrad (arXiv 2009.00713): 24 kHz, 128 bands, 50 ms window, 12.5 ms hop, 2048 points, 20 Hz to 12 kHz. "
        "The paper leaves the rest open; chosen here: magnitudes, slaney scale and norm, ln of at least 1e-5, "
        "reflected ends, no centring",
    ),
    "hifigan-22k": MelPreset(
        _HIFIGAN,
        "jik876/hifi-gan, meldataset.py and config_v1.json; the LJSpeech convention. Tacotron 2, FastSpeech 2 and "
        "Glow-TTS make the same values, but centre frame k on sample k * hop, not (k + 1/2) * hop, and make one frame "
        "more",
    ),
    "lmnt-22k": MelPreset(_LMNT, "lmnt-com/wavegrad, preprocess.py with the values of params.py"),
    "lmnt-24k": MelPreset(
        replace(_LMNT, sample_rate=24000, f_max=12000.0),
        "lmnt-com/wavegrad, preprocess.py with sample_rate = 24000 in params.py",
    ),
    "ivanvovk-22k": MelPreset(
        MelConfig(
            sample_rate=22050,
            n_fft=1024,
            win_length=1024,
            hop_length=300,
            n_mels=80,
            f_min=80.0,
            f_max=8000.0,
            mel_scale="htk",
            mel_norm="none",
            power=2.0,
            log="log10",
            floor=1e-8,
            centring="center",
        ),
        "ivanvovk/WaveGrad, data.py and configs/default.json. Differs: there silence is minus infinity or, in another "
        "version, 0 (loud); here 1e-8, below the rounding noise of 16 bits, is the floor. There the last frame is "
        "dropped",
    ),
    "vocos-24k": MelPreset(
        MelConfig(
            sample_rate=24000,
            n_fft=1024,
            win_length=1024,
            hop_length=256,
            n_mels=100,
            f_min=0.0,
            f_max=12000.0,
            mel_scale="htk",
            mel_norm="none",
            floor=1e-7,
            centring="center",
        ),
        "gemelo-ai/vocos, feature_extractors.py and configs/vocos.yaml",
    ),
    "bigvgan-24k-100": MelPreset(
        replace(_HIFIGAN, sample_rate=24000, n_mels=100, f_max=12000.0),
        "NVIDIA/BigVGAN, meldataset.py and configs/bigvgan_24khz_100band.json",
    ),
    "speecht5-16k": MelPreset(
        MelConfig(
            sample_rate=16000,
            n_fft=1024,
            win_length=1024,
            hop_length=256,
            n_mels=80,
            f_min=80.0,
            f_max=7600.0,
            log="log10",
            floor=1e-10,
            centring="center",
        ),
        "huggingface/transformers, feature_extraction_speecht5.py (`audio_target` of SpeechT5FeatureExtractor)",
    ),
}


def mel_preset(name: str) -> MelConfig:
    """The front-end of that name. ConfigError, with the nearest known name, if there is none."""
    if name not in MEL_PRESETS:
        raise ConfigError(unknown("mel preset", name, MEL_PRESETS))
    return MEL_PRESETS[name].config
