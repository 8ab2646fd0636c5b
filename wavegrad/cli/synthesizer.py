"""What `wavegrad vocode` does with every mel."""

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wavegrad.cli.chunks import Chunks
from wavegrad.errors import AudioError

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.device import Precision
    from wavegrad.diffusion import Sampler
    from wavegrad.diffusion.schedule import NoiseSchedule
    from wavegrad.vocoder import Vocoder


@dataclass(frozen=True)
class Synthesizer:
    """A vocoder with all that is the same for every file: mels to audio, in three ways that sound the same."""

    vocoder: "Vocoder"
    schedule: "NoiseSchedule"
    seed: int
    sampler: "Sampler"
    guidance: float
    precision: "Precision"
    """A stream has no int8, and is float32 then."""
    griffin_lim: int | None
    chunks: Chunks = Chunks()
    """Of a stream."""

    @property
    def can_stream(self) -> bool:
        """Whether `stream` can do what is asked for."""
        from wavegrad.diffusion import is_linear

        return self.guidance == 0 and is_linear(self.sampler)

    def one(
        self, mel: "Float[Tensor, 'n_mels frames']", n_samples: int | None, on_step: Callable[[], None] | None
    ) -> "Float[Tensor, ' time']":
        """A whole mel; as a stream where the memory is not enough for it.

        Args:
            n_samples: to keep; None for all.
            on_step: called after every step.

        Raises:
            WavegradError: it cannot be synthesised, or there is not enough memory in any way.

        Warns:
            MemoryWarning: it was made as a stream.
        """
        from wavegrad.inference import is_of_memory

        try:
            return self.vocoder(
                mel,
                self.schedule,
                self.seed,
                length=n_samples,
                sampler=self.sampler,
                guidance=self.guidance,
                precision=self.precision,
                griffin_lim=self.griffin_lim,
                on_step=None if on_step is None else lambda n, y: on_step(),
            ).cpu()  # waits for the device
        except (MemoryError, RuntimeError) as error:
            if not is_of_memory(error):
                raise
        return self._in_pieces(mel)[:n_samples]  # outside the handler: its traceback holds what was computed

    def several(self, mels: "list[Float[Tensor, 'n_mels _']]") -> "list[Float[Tensor, ' _']]":
        """Whole mels at once; fewer, or each alone, where the memory is not enough. Raises and warns as `one`."""
        from wavegrad.inference import is_of_memory

        try:
            audio = self.vocoder.batch(
                mels,
                self.schedule,
                [self.seed] * len(mels),
                sampler=self.sampler,
                guidance=self.guidance,
                precision=self.precision,
                griffin_lim=self.griffin_lim,
            )
            return [waveform.cpu() for waveform in audio]
        except (MemoryError, RuntimeError) as error:
            if not is_of_memory(error):
                raise
        return [self.one(mel, None, None) for mel in mels]

    def stream(self, mel: "Iterable[Float[Tensor, 'n_mels _']]") -> "Iterator[Float[Tensor, ' _']]":
        """A mel that comes in pieces, in memory that does not grow with it; where `can_stream`.

        Raises:
            WavegradError: as `one`.
        """
        from wavegrad.inference import is_of_memory

        try:
            yield from self.vocoder.stream(
                self.chunks.cut(mel),
                self.schedule,
                self.seed,
                sampler=self.sampler,
                precision="float32" if self.precision == "int8" else self.precision,
                griffin_lim=self.griffin_lim,
                lookahead_frames=self.chunks.lookahead_frames,
            )
        except (MemoryError, RuntimeError) as error:
            if not is_of_memory(error):
                raise
            raise AudioError("not enough memory, even for a stream; end other programs, or use --device cpu") from error

    def _in_pieces(self, mel: "Float[Tensor, 'n_mels frames']") -> "Float[Tensor, ' time']":
        import torch

        from wavegrad.inference import MemoryWarning, give_back_memory

        give_back_memory()
        shortage = f"not enough memory for {mel.shape[1]} frames at once"
        if not self.can_stream:
            cause = "guidance" if self.guidance else self.sampler
            raise AudioError(f"{shortage}, and {cause} cannot be streamed; cut the file, or leave that option out")
        warnings.warn(f"{shortage}: made as a stream", MemoryWarning, stacklevel=3)
        return torch.cat([waveform.cpu() for waveform in self.stream([mel])])
