"""The stream that a user holds: chunks of any kind in, one line for each mistake."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelConfig
from wavegrad.audio.mel_check import check_mel, tensor_of
from wavegrad.diffusion import LinearStep
from wavegrad.errors import AudioError
from wavegrad.streaming import StreamModel, StreamOptions, VocoderStream


class AudioStream:
    """One synthesis while its mel is still coming: `Vocoder.open_stream`.

    A chunk that is refused changes nothing; after any other error the stream has ended. Chunks may come from different
    threads, one after the other. A stream that is not wanted any more may be dropped at any time.

    Args:
        model: it may be that of other streams, too.
        steps: of the sampler, from N down to 1.
        seeds: makes one for each item of a batch of that size, which the first chunk tells.
    """

    def __init__(
        self,
        model: StreamModel,
        steps: Sequence[LinearStep],
        seeds: Callable[[int], Sequence[int]],
        options: StreamOptions,
    ):
        self._begin = lambda n_items: VocoderStream(model, steps, seeds(n_items), options)
        self._mel_config = model.mel_config
        self._stream: VocoderStream | None = None
        self._n_axes = 0
        self._has_ended = False
        self._busy = threading.Lock()

    def push(self, mel: Tensor) -> Float[Tensor, "*batch time"]:
        """The next frames, any number of them, none too -> the samples that are new, perhaps none.

        Args:
            mel: `batch n_mels frames`, or `n_mels frames` for one item.

        Returns:
            `batch time`, or `time` for one item.

        Raises:
            AudioError: a mel that cannot come from the front-end or is of another batch, or the stream has ended.

        Warns:
            MelWarning: a mel that hardly comes from the front-end.
        """
        with self._one_at_a_time():
            check_chunk(mel, self._mel_config)
            batch = mel if mel.dim() == 3 else mel[None]
            if self._stream is None:
                self._stream, self._n_axes = self._begin(len(batch)), mel.dim()
            if mel.dim() != self._n_axes:
                raise AudioError(f"a chunk of shape {tuple(mel.shape)} in a stream of mels with {self._n_axes} axes")
            if len(batch) != self._stream.n_items:
                raise AudioError(f"a chunk of {len(batch)} mels in a stream of {self._stream.n_items}")
            with self._ended_by_errors():
                new = self._stream.push(batch)
            return new if self._n_axes == 3 else new[0]

    def finish(self) -> Float[Tensor, "*batch time"]:
        """The mel has ended -> the rest of the audio.

        Raises:
            AudioError: there was no frame, or the stream has ended before.
        """
        with self._one_at_a_time():
            self._has_ended = True
            ended, self._stream = self._stream, None
            if ended is None or not ended.n_frames:
                raise AudioError("the stream has ended without a frame of mel")
            rest = ended.finish()
            return rest if self._n_axes == 3 else rest[0]

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        if not self._busy.acquire(blocking=False):
            raise AudioError("the stream is still busy in another thread; it takes one chunk after the other")
        try:
            if self._has_ended:
                raise AudioError("the stream has ended; open another one")
            yield
        finally:
            self._busy.release()

    @contextlib.contextmanager
    def _ended_by_errors(self) -> Iterator[None]:
        """Half a chunk leaves nothing that could go on."""
        try:
            yield
        except BaseException:
            self._has_ended, self._stream = True, None
            raise


def check_chunk(chunk: object, config: MelConfig) -> None:
    """`check_mel` for a part of one, which may have no frame; AudioError for something else."""
    chunk = tensor_of(chunk, "a chunk")
    shape = tuple(chunk.shape)
    if chunk.dim() == 1:
        raise AudioError(f"a chunk of shape {shape}; a single frame is one of shape ({config.n_mels}, 1)")
    if chunk.dim() == 3 and not shape[0]:
        raise AudioError(f"a chunk of shape {shape}, without a mel")
    if chunk.numel() or chunk.is_meta:
        check_mel(chunk, config)
    elif chunk.dim() not in (2, 3) or shape[-2] != config.n_mels:
        raise AudioError(f"an empty chunk of shape {shape}; the model reads {config.n_mels} bands")


def check_chunks(chunks: object) -> None:
    """Raise AudioError for what is no series of chunks."""
    if isinstance(chunks, Tensor):
        raise AudioError(
            f"mel_chunks is a single tensor, of shape {tuple(chunks.shape)}; pass its pieces: mel.split(16, dim=-1)"
        )
    if not isinstance(chunks, Iterable):
        raise AudioError(
            f"mel_chunks is a {type(chunks).__name__}, which no loop takes; for chunks that come to a callback or an "
            "asynchronous loop there is Vocoder.open_stream"
        )


def stream(mel_chunks: Iterable[Tensor], audio: AudioStream) -> Iterator[Tensor]:
    """The audio of all chunks: `Vocoder.stream`."""
    for chunk in mel_chunks:
        new = audio.push(chunk)
        if new.shape[-1]:
            yield new
    rest = audio.finish()
    if rest.shape[-1]:
        yield rest
