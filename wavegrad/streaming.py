"""A vocoder as a stream: the sampler behind the mel, the colour of the prior behind the sampler."""

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from wavegrad.audio import MelConsistency
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.prior import PriorConfig, PriorGains
from wavegrad.audio.stream_colour import StreamColour, n_coloured
from wavegrad.audio.stream_consistency import StreamConsistency, last_sample_needed
from wavegrad.diffusion import LinearStep
from wavegrad.errors import ConfigError
from wavegrad.inference.streaming import MAX_FRAMES, StreamLayers, StreamSampler, inputs_needed, stream_lag
from wavegrad.network import WaveGradConfig
from wavegrad.pieces import Operator, Piece
from wavegrad.shapes import Mel, Waveform


@dataclass(frozen=True)
class StreamOptions:
    """How long a stream waits."""

    lookahead_frames: int | None = None
    """None: every sample waits until it is final. A number: after each chunk all but this many frames of what came are
    given, as they would be if the mel ended there. Less delay, more work, and a result that depends on the cuts."""
    pipeline_frames: int | None = None
    """None: the refinement steps take turns with each chunk. A number: all steps work at once, each on so many frames,
    and that many more behind the one before it."""

    def __post_init__(self) -> None:
        if self.pipeline_frames is not None and not _is_count(self.pipeline_frames, 1):
            raise ConfigError(
                f"pipeline_frames is {self.pipeline_frames}; it must be a whole number, 1 or more, or None for steps "
                "that take turns"
            )
        if self.lookahead_frames is not None and not _is_count(self.lookahead_frames, 0):
            raise ConfigError(
                f"lookahead_frames is {self.lookahead_frames}; it must be a whole number, 0 or more, or None for exact"
            )


def _is_count(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True)
class LookAhead:
    """How far behind the mel the audio of a stream comes, when every sample waits until it is final."""

    samples: int
    """How far the farthest-seeing sample sees to its right."""
    frames: int
    """How many frames after its own must have come before all samples of a frame are there: whole frames are refined,
    and in a pipeline each step waits for the next call."""
    first_frames: int
    """Frames that must have come before the first sample does."""


def look_ahead(
    config: WaveGradConfig,
    mel_config: MelConfig,
    prior: PriorConfig,
    n_steps: int,
    griffin_lim: int = 0,
    pipeline_frames: int | None = None,
) -> LookAhead:
    """Computed from the receptive field of the network, the number of steps, the fold of the prior's transform, and
    the windows and the number of iterations of Griffin-Lim."""
    hop, call = config.hop_length, pipeline_frames or 1
    lag = stream_lag(config, n_steps, pipeline_frames)

    def whitened(sample: int) -> int:
        return _last_whitened(last_sample_needed(sample, mel_config, griffin_lim), hop, prior)

    frame = range(2 * hop, 3 * hop)  # the folds at the outer ends differ
    samples = max(inputs_needed(config, n_steps, whitened(sample)).sample - sample for sample in frame)
    n_later = whitened(frame[-1]) // hop - 2 + lag
    n_first = whitened(0) // hop + 1 + lag
    return LookAhead(samples, n_later + call - 1, -(-n_first // call) * call)


def _last_whitened(sample: int, hop: int, prior: PriorConfig) -> int:
    """The last sample of y_0 that `sample` of the coloured waveform depends on, those before it included."""
    if prior.kind == "standard":
        return sample
    counts = range(sample + 1, sample + 3 * hop)
    return counts[bisect.bisect_right(counts, sample, key=lambda n: n_coloured(n, hop))] - 1


@dataclass(frozen=True, eq=False)
class StreamModel:
    """What the streams of a vocoder share, in threads too: prepared once, changed by none."""

    layers: StreamLayers
    mel_config: MelConfig
    """The front-end that the network was trained with."""
    prior_gains: PriorGains
    """Of the noise that the refinement starts from."""
    consistency: MelConsistency
    """The iterations behind the sampler."""


class VocoderStream(Operator):
    """Takes mel frames, gives audio. Not to be shared between threads.

    Args:
        model: it may be that of other streams, too.
        steps: of the sampler, from N down to 1.
        seeds: one for each item of the batch.
    """

    def __init__(
        self,
        model: StreamModel,
        steps: Sequence[LinearStep],
        seeds: Sequence[int],
        options: StreamOptions = StreamOptions(),
    ):
        self.device = model.layers.device
        self.mel_config = model.mel_config
        self.options = options
        self.n_items = len(seeds)
        self.n_frames = 0
        self.n_final = 0
        self.n_given = 0
        self.sampler = StreamSampler(model.layers, steps, seeds, options.pipeline_frames)
        self.prior_gains = model.prior_gains
        self.colour = StreamColour(self.mel_config.hop_length)
        self.consistency = StreamConsistency(model.consistency)

    def push(self, mel: Mel) -> Waveform:
        """The next frames, any number of them -> the samples that are new, `batch time`; perhaps none."""
        with torch.inference_mode():
            final = torch.cat([self._advance(part, False) for part in mel.split(MAX_FRAMES, dim=2)], dim=1)
            new = self._give(final)
        return new.clone()  # one that autograd may use

    def finish(self) -> Waveform:
        """The mel has ended, after one frame or more -> the rest of the audio."""
        with torch.inference_mode():
            rest = self._give(self._end())
        return rest.clone()

    def _give(self, final: Tensor) -> Tensor:
        """What is new among the samples that are final, and those that bounded look-ahead does not wait for."""
        first, self.n_final = self.n_final, self.n_final + final.shape[1]
        bound = self.options.lookahead_frames
        wanted = 0 if bound is None else (self.n_frames - bound) * self.mel_config.hop_length
        if wanted > self.n_final:
            if_it_ended = self.fork()._end()
            final = torch.cat((final, if_it_ended[:, : wanted - self.n_final]), dim=1)
        new = final[:, max(0, self.n_given - first) :]
        self.n_given += new.shape[1]
        return new

    def _end(self) -> Tensor:
        return self._advance(torch.empty(self.n_items, self.mel_config.n_mels, 0), True)

    def _advance(self, mel: Tensor, last: bool) -> Tensor:
        kept = mel.to(self.device, torch.float32, copy=True)  # the caller may write the next frames into this one
        piece = Piece(self.n_frames, kept, last)
        self.n_frames = piece.stop
        waveform = self.sampler.push(piece)
        if self.prior_gains.config.kind != "standard":
            waveform = self.colour.push(waveform, piece.map(self._gains))
        return self.consistency.push(waveform, piece).values

    def _gains(self, mel: Tensor) -> Tensor:
        gains = self.prior_gains(mel)
        assert gains is not None
        return gains.mT
