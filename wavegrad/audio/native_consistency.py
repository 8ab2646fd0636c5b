"""The projection of `MelConsistency` in one pass, in C: magnitudes, mel, gains and phases of a frame at once.

PyTorch takes some fifteen passes and two products with matrices that are zero almost everywhere: a bin of the transform
is in two bands at most, the one that falls and the next one, which rises.
"""

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Complex, Float, Int32
from torch import Tensor

from wavegrad.compiled import library, n_threads

SOURCE = Path(__file__).with_suffix(".c")
LANES = 16
"""Floats that a processor multiplies at once, or a multiple of it: the weights of a band are as many, or twice, ..."""

_POINTER, _SIZE, _NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_float
_SETTINGS = (_NUMBER, _NUMBER, ctypes.c_int, _NUMBER, ctypes.c_int)
_GIVE_MEL = (*(_POINTER,) * 5, *(_SIZE,) * 3, *(_POINTER,) * 7, *_SETTINGS)

Spectra = Complex[Tensor, "batch frames n_freqs"]
Bands = Float[Tensor, "batch frames n_mels"]
PerBin = Float[Tensor, " n_freqs"]


@dataclass(frozen=True)
class SparseBands:
    """What `give_mel` needs of a filterbank and of the way back, where they are not zero; in its order."""

    starts: Int32[Tensor, " n_mels"]
    """The first bin of a band."""
    widths: Int32[Tensor, " n_mels"]
    """Bins of a band: multiples of `LANES`, so that the last ones may be beyond all bins."""
    heard: Float[Tensor, " weights"]
    """The filterbank's weights, band by band."""
    bands: Int32[Tensor, " n_freqs"]
    """The band that rises in a bin."""
    falling: PerBin
    rising: PerBin
    unheard: PerBin

    @classmethod
    def of(
        cls, filterbank: Float[Tensor, "n_mels n_freqs"], to_bins: Float[Tensor, "n_mels n_freqs"], unheard: PerBin
    ) -> "SparseBands":
        """In float32, from matrices of triangles."""
        inside = [row.nonzero()[:, 0] for row in filterbank]
        starts = [int(bins[0]) if len(bins) else 0 for bins in inside]
        widths = [-(-len(bins) // LANES) * LANES for bins in inside]
        rows = zip(F.pad(filterbank.float(), (0, LANES)), starts, widths, strict=True)
        heard = torch.cat([row[start : start + width] for row, start, width in rows])
        bands = ((to_bins != 0) * torch.arange(len(to_bins))[:, None]).amax(0)
        rising = to_bins.gather(0, bands[None])[0]
        falling = F.pad(to_bins, (0, 0, 1, 0)).gather(0, bands[None])[0]
        sizes = torch.tensor(starts).int(), torch.tensor(widths).int()
        return cls(*sizes, heard, bands.int(), falling.float(), rising.float(), unheard.float())

    def pointers(self) -> tuple[int, ...]:
        """In the order of `give_mel`."""
        parts = self.starts, self.widths, self.heard, self.bands, self.falling, self.rising, self.unheard
        return tuple(part.data_ptr() for part in parts)


@dataclass(frozen=True)
class NativeProjection:
    """`MelConsistency.projected` in float32 on a CPU, with its constants; without gradients."""

    give_mel: "ctypes._NamedFuncPointer"
    bands: SparseBands
    momentum: float
    scale: float
    """Of the magnitudes that the filterbank hears."""
    power: int
    tiny: float

    def __call__(self, present: Spectra, previous: Spectra, bounds: tuple[Bands, Bands]) -> Spectra:
        """`present` with phases that go on from `previous`, and the right mel."""
        assert present.dtype == previous.dtype == torch.complex64
        assert bounds[0].dtype == bounds[1].dtype == torch.float32
        n_batch, n_frames, n_freqs = present.shape
        out = torch.empty_like(present, memory_format=torch.contiguous_format)
        given = [tensor.contiguous() for tensor in (present, previous, *bounds)]
        self.give_mel(
            *(tensor.data_ptr() for tensor in (*given, out)),
            *(n_batch * n_frames, n_freqs, len(self.bands.starts)),
            *self.bands.pointers(),
            *(self.momentum, self.scale, self.power, self.tiny, n_threads(out.numel())),
        )
        return out


@cache
def give_mel() -> "ctypes._NamedFuncPointer":
    """The function in C; ImportError and RuntimeError as `library`."""
    function = library([SOURCE], f"LANES={LANES}").give_mel
    function.argtypes, function.restype = _GIVE_MEL, None
    return function
