"""What `wavegrad vocode` does with every mel."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.diffusion import Sampler
    from wavegrad.diffusion.schedule import NoiseSchedule
    from wavegrad.vocoder import Vocoder


@dataclass(frozen=True)
class Synthesis:
    """A vocoder with all that is the same for every file: mels to audio, in three ways that sound the same."""

    vocoder: "Vocoder"
    schedule: "NoiseSchedule"
    seed: int
    sampler: "Sampler"
    guidance: float
    precision: Literal["float32", "bfloat16", "float16"]

    @property
    def can_stream(self) -> bool:
        """Whether `stream` can do what is asked for."""
        from wavegrad.inference.streaming import is_linear

        return self.guidance == 0 and is_linear(self.sampler)

    def one(
        self, mel: "Float[Tensor, 'n_mels frames']", n_samples: int | None, on_step: Callable[[], None] | None
    ) -> "Float[Tensor, ' time']":
        """A whole mel.

        Args:
            n_samples: to keep; None for all.
            on_step: called after every step.
        """
        return self.vocoder(
            mel,
            self.schedule,
            self.seed,
            length=n_samples,
            sampler=self.sampler,
            guidance=self.guidance,
            precision=self.precision,
            on_step=None if on_step is None else lambda n, y: on_step(),
        ).cpu()  # waits for the device

    def several(self, mels: "list[Float[Tensor, 'n_mels _']]") -> "list[Float[Tensor, ' _']]":
        """Whole mels at once."""
        audio = self.vocoder.batch(
            mels,
            self.schedule,
            [self.seed] * len(mels),
            sampler=self.sampler,
            guidance=self.guidance,
            precision=self.precision,
        )
        return [waveform.cpu() for waveform in audio]

    def stream(self, mel_chunks: "Iterable[Float[Tensor, 'n_mels _']]") -> "Iterator[Float[Tensor, ' _']]":
        """A mel that comes in pieces, in memory that does not grow with it; where `can_stream`."""
        return self.vocoder.stream(mel_chunks, self.schedule, self.seed, sampler=self.sampler, precision=self.precision)
