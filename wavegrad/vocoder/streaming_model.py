"""A model whose audio comes while its mel is still coming."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor

from wavegrad.device import PrecisionName, choose_precision
from wavegrad.diffusion import NoiseSchedule, Sampler, Variance, choose_sampler, linear_steps
from wavegrad.diffusion.schedule import warn_of_terminal_level
from wavegrad.streaming import LookAhead, StreamOptions, look_ahead
from wavegrad.vocoder.audio_stream import AudioStream, check_chunks, stream
from wavegrad.vocoder.frozen_model import FrozenModel
from wavegrad.vocoder.items import item_seeds


@dataclass(frozen=True, eq=False)
class StreamingModel(FrozenModel):
    """What `Vocoder` does piece by piece."""

    def stream(
        self,
        mel_chunks: Iterable[Tensor],
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        precision: PrecisionName = "float32",
        griffin_lim: int | None = None,
        lookahead_frames: int | None = None,
        pipeline_frames: int | None = None,
    ) -> Iterator[Float[Tensor, "*batch time"]]:
        """Synthesise while the mel is still coming, in memory that does not grow with its length.

        What is yielded, put together, is what a call makes of the whole mel (to 1e-5 in float32), however it was cut:
        each sample comes as soon as it is final, `look_ahead` behind the mel. Nothing is computed twice, but small
        chunks are many small operations, N times over; `pipeline_frames` makes them fewer.

        The iterator may be left at any time. An error that `mel_chunks` raises comes out as it is.

        Args:
            mel_chunks: as in a call, but any number of frames at a time, none too.
            schedule, seed, variance, precision: as in a call.
            griffin_lim: as in a call; each iteration waits for a window more, 0 gives the audio soonest.
            sampler: as in a call, but one of those that call the network once a step and look at one sample at a time:
                the ancestral (posterior, beta), DDIM, DPM-Solver++ 1S and 2M. The default samplers are of them.
            lookahead_frames: to wait less. After each chunk, all but this many frames of what came are yielded, as they
                would be if the mel ended there; the result depends on the cuts then, and each chunk costs up to
                `look_ahead` frames more.
            pipeline_frames: left out, the N refinement steps take turns with each chunk. A number P: all steps work at
                once, as one batch, each on P frames that the step before made a call earlier. The audio comes
                (N - 1) P frames later, P - 1 more while a call waits for its frames, and what it costs does not
                depend on the chunks.

        Yields:
            `batch time`, or `time` for one item, one sample or more.

        Raises:
            AudioError, ConfigError: as in a call; of a mel, when its chunk is reached. Also ConfigError: a sampler that
                cannot be streamed, or the precision int8. Also AudioError: chunks that are no series of tensors.

        Warns:
            MelWarning: a chunk that hardly comes from the front-end.
        """
        check_chunks(mel_chunks)
        audio = self.open_stream(
            schedule,
            seed,
            sampler=sampler,
            variance=variance,
            precision=precision,
            griffin_lim=griffin_lim,
            lookahead_frames=lookahead_frames,
            pipeline_frames=pipeline_frames,
        )
        return stream(mel_chunks, audio)

    def open_stream(
        self,
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        precision: PrecisionName = "float32",
        griffin_lim: int | None = None,
        lookahead_frames: int | None = None,
        pipeline_frames: int | None = None,
    ) -> AudioStream:
        """`stream` for callbacks and asynchronous loops: `push` each chunk, and `finish`.

        Streams of one vocoder share its weights; any number of them may be open, in threads of their own.

        Args:
            schedule, seed, sampler, variance, precision, griffin_lim, lookahead_frames, pipeline_frames: as in
                `stream`.

        Raises:
            ConfigError: as `stream`.
        """
        chosen = self.find_schedule(schedule)
        walk = choose_sampler(sampler, variance, chosen.n_steps)
        steps = linear_steps(walk, chosen)
        options = StreamOptions(lookahead_frames, pipeline_frames)
        model = self._stream_model(choose_precision(precision, self.device), griffin_lim)
        warn_of_terminal_level(chosen)
        return AudioStream(model, steps, partial(item_seeds, seed), options)

    def look_ahead(
        self,
        schedule: NoiseSchedule | str | int | None = None,
        griffin_lim: int | None = None,
        pipeline_frames: int | None = None,
    ) -> LookAhead:
        """How far behind the mel the audio of `stream` comes.

        Raises:
            ConfigError: as `stream`.
        """
        pipeline_frames = StreamOptions(None, pipeline_frames).pipeline_frames
        n_steps, n_iter = self.find_schedule(schedule).n_steps, self._consistency(griffin_lim).n_iter
        return look_ahead(self.network.config, self.mel_config, self.prior, n_steps, n_iter, pipeline_frames)
