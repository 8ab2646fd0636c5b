"""A corpus in one tensor, so that the crops of a batch are one indexed read, on whatever device it lies."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor


class ClipBank:
    """16-bit clips end to end, with `gap` zeros before, between and behind them.

    Two bytes a sample: an hour of 24 kHz speech takes 173 MB.
    """

    def __init__(self, clips: Sequence[Int16[Tensor, " time"]], gap: int, device: torch.device):
        self.lengths = np.array([len(c) for c in clips])
        self.gap = gap
        self._starts = gap + np.concatenate(([0], np.cumsum(self.lengths + gap)[:-1]))
        silence = torch.zeros(gap, dtype=torch.int16)
        pieces = [silence, *(piece for clip in clips for piece in (clip, silence))]
        self._pcm = torch.cat(pieces).to(device)

    def windows(self, clips: np.ndarray, begins: np.ndarray, n_samples: int) -> Float[Tensor, "batch {n_samples}"]:
        """Samples [begin, begin + n_samples) of each clip, in [-1, 1], zeros beyond its ends; on the bank's device.

        Args:
            clips: index of each clip.
            begins: first sample wanted; it may be as far as `gap` before the clip.
            n_samples: length of the windows; none may reach further than `gap` past the end of its clip.
        """
        assert (begins >= -self.gap).all()
        assert (begins + n_samples <= self.lengths[clips] + self.gap).all()
        first = to_device(torch.from_numpy(self._starts[clips] + begins), self._pcm.device)
        positions = first[:, None] + torch.arange(n_samples, device=self._pcm.device)
        return self._pcm[positions].float() / 32767


class MelBank:
    """Mels end to end in one tensor, with `gap` frames of silence before, between and behind them.

    Args:
        mels: `frames n_mels`, time first, of each clip.
        gap: frames.
        silence: the value of the frames beyond a clip's ends.
        device: where they are kept, 4 bytes a value.
    """

    def __init__(self, mels: Sequence[Float[Tensor, "frames n_mels"]], gap: int, silence: float, device: torch.device):
        lengths = np.array([len(m) for m in mels])
        self._starts = gap + np.concatenate(([0], np.cumsum(lengths + gap)[:-1]))
        nothing = torch.full((gap, mels[0].shape[1]), silence)
        self._frames = torch.cat([nothing, *(piece for mel in mels for piece in (mel, nothing))]).to(device)

    def windows(self, clips: np.ndarray, begins: np.ndarray, n_frames: int) -> Float[Tensor, "batch n_mels {n_frames}"]:
        """Frames [begin, begin + n_frames) of each clip's mel."""
        first = to_device(torch.from_numpy(self._starts[clips] + begins), self._frames.device)
        return self._frames[first[:, None] + torch.arange(n_frames, device=first.device)].transpose(1, 2)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """The same values there, without making the host wait for the device; "cuda" is the current one of the GPUs."""
    if x.device.type != "cpu" or device.type == "cpu":
        return x.to(device)
    return (x if x.is_pinned() else x.pin_memory()).to(device, non_blocking=True)
