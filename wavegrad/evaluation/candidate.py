"""What can be evaluated: a folder of audio, or something that makes audio out of the recording."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.evaluation.griffin_lim import griffin_lim
from wavegrad.evaluation.results import System

Synthesize = Callable[[Float[Tensor, " time"]], Float[Tensor, " samples"]]
"""Recording -> audio, both at the system's sample rate."""


@dataclass(frozen=True)
class Synthesizer:
    """A system that makes its audio of the recording, as by copy synthesis."""

    system: System
    sample_rate: int
    """Hz, of what it takes and makes."""
    synthesize: Synthesize
    """For several worker processes it must be possible to pickle it; an object with `__call__` can be."""
    identity: str = ""
    """What its audio depends on besides the recording: weights, schedule, seed. Another identity, another system."""


@dataclass(frozen=True)
class Folder:
    """A system that has made its audio already."""

    system: System
    directory: Path
    """Files with the names of the recordings, whatever their suffix."""


Candidate = Synthesizer | Folder


@dataclass(frozen=True)
class GriffinLim:
    """Copy synthesis by Griffin-Lim: what the mel alone is good for."""

    config: MelConfig

    def __call__(self, waveform: Float[Tensor, " time"]) -> Float[Tensor, " time"]:
        """The recording's mel, made audible; as long as the recording."""
        padded = F.pad(waveform, (0, -len(waveform) % self.config.hop_length))
        return griffin_lim(MelSpectrogram(self.config)(padded[None])[0], self.config)[: len(waveform)]


def griffin_lim_baseline(config: MelConfig) -> Synthesizer:
    """The row that every evaluation has."""
    return Synthesizer(System("Griffin-Lim", "Griffin-Lim"), config.sample_rate, GriffinLim(config), repr(config))
