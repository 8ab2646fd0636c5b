"""Which preset made this mel, given the audio that it was made from?"""

from dataclasses import dataclass

import soxr
import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.audio.mel_check import units_per_db
from wavegrad.audio.mel_compare import MelComparison, compare_mels
from wavegrad.audio.presets import MEL_PRESETS
from wavegrad.errors import AudioError

SAME_DB = 0.5
"""A mel that lies this near to that of a preset is of that preset: float16, another resampler, dither."""


@dataclass(frozen=True)
class PresetFit:
    """A mel beside that of its audio under a preset."""

    name: str
    difference_db: float | None
    """Mean absolute difference; None where bands or frames cannot be laid on each other."""
    comparison: MelComparison
    """What turns the preset's mel (A) into the given one (B)."""

    @property
    def rank(self) -> tuple[bool, float, int, float]:
        """Smaller is better: nearly equal values first, and then those that the fewest changes explain."""
        is_same = self.difference_db is not None and self.difference_db < SAME_DB
        near = self.difference_db if self.difference_db is not None and is_same else 0.0
        return not is_same, near, len(self.comparison.findings), self.comparison.residual


def fit_presets(
    mel: Float[Tensor, "n_mels frames"], waveform: Float[Tensor, " time"], sample_rate: int
) -> list[PresetFit]:
    """All presets, the one that fits best first.

    Args:
        mel: of unknown convention; its axes may be swapped.
        waveform: the audio that it was made from.
        sample_rate: Hz, of the waveform; it is resampled to the rate of each preset.

    Raises:
        AudioError: a mel that cannot be compared, or too little audio for one.
    """
    fits = [_fit(name, preset.config, mel, waveform, sample_rate) for name, preset in MEL_PRESETS.items()]
    return sorted(fits, key=lambda fit: fit.rank)


def mel_at(waveform: Float[Tensor, " time"], sample_rate: int, config: MelConfig) -> Float[Tensor, "n_mels frames"]:
    """The mel of a waveform of any rate."""
    if sample_rate != config.sample_rate:
        resampled = soxr.resample(waveform.numpy(), sample_rate, config.sample_rate, quality="VHQ")
        waveform = torch.from_numpy(resampled)
    return MelSpectrogram(config)(waveform[None])[0]


def _fit(name: str, config: MelConfig, mel: Tensor, waveform: Tensor, sample_rate: int) -> PresetFit:
    ours = mel_at(waveform, sample_rate, config).double()
    try:
        comparison = compare_mels(ours, mel)
    except AudioError as error:
        raise AudioError(f"A being the mel of the audio, B the given one: {error}") from error
    difference = None
    if mel.shape[-2] == len(ours) and abs(mel.shape[-1] - ours.shape[1]) <= 2:
        n = min(mel.shape[-1], ours.shape[1])
        difference = (mel[..., :n].double() - ours[:, :n]).abs().mean().item() / units_per_db(config)
    return PresetFit(name, difference, comparison)
