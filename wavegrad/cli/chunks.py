"""How a mel is cut before it is streamed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


@dataclass(frozen=True)
class Chunks:
    """Cuts, and how long the audio waits at them."""

    frames: int = 64
    """Of each chunk."""
    lookahead_frames: int | None = None
    """See `Vocoder.stream`: None waits until the audio is final, and the cuts do not matter; otherwise they do."""

    def cut(self, mel: "Iterable[Float[Tensor, 'n_mels _']]") -> "Iterator[Float[Tensor, 'n_mels _']]":
        """The same mel, in chunks of `frames`; the last may be shorter."""
        import torch

        held: Tensor | None = None
        for piece in mel:
            held = piece if held is None else torch.cat((held, piece), dim=1)
            n_whole = held.shape[1] // self.frames * self.frames
            for start in range(0, n_whole, self.frames):
                yield held[:, start : start + self.frames]
            held = held[:, n_whole:]
        if held is not None and held.shape[1]:
            yield held
