"""Scale, shift, LeakyReLU and mask in one pass over the memory of a GPU.

`modulated` takes three passes: `addcmul` reads three values and writes one, LeakyReLU and the mask read and write one
each. That is 8 for each value of the result, where one pass has 4. Base modulates 22.1 million values for each step and
second of audio (channels times rate of its UBlocks, three times), so that in bfloat16 6 steps move 1.06 GB less for a
second of audio: not measured, but counted by `test_what_is_counted_is_what_is_modulated`.
"""

from dataclasses import dataclass
from typing import Any

import torch

from wavegrad.inference.ends import Ends
from wavegrad.inference.film import Film, Modulate, modulated
from wavegrad.inference.rows import Rows


@dataclass(frozen=True)
class FusedModulation:
    """`modulated` as one kernel, for tensors of a GPU; without gradients.

    It rounds once, at the end, where `modulated` rounds after each pass: in bfloat16 and float16 a negative result may
    be its neighbour. In float32 product and sum may be rounded together.
    """

    kernel: Any
    """`triton_kernels.scale_shift_leaky_relu`."""
    block: tuple[int, int]
    """Positions and channels."""
    n_warps: int

    @classmethod
    def load(cls) -> "FusedModulation":
        """Import Triton, which compiles the kernel at the first call; ImportError where there is none."""
        from wavegrad.inference.triton_kernels import BLOCK_CHANNELS, BLOCK_ROWS, WARPS, scale_shift_leaky_relu

        return cls(scale_shift_leaky_relu, (BLOCK_ROWS, BLOCK_CHANNELS), WARPS)

    def __call__(self, x: Rows, film: Film, slope: float, ends: Ends) -> Rows:
        """LeakyReLU(gamma x + xi), zero beyond the ends."""
        n_batch, n_time, n_channels = x.shape
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        grid = -(-n_batch * n_time // self.block[0]), -(-n_channels // self.block[1])
        mask = None if ends.mask is None else ends.mask.contiguous()
        tensors = x.contiguous(), film.contiguous(), mask, out
        with torch.cuda.device_of(x):
            self.kernel[grid](*tensors, n_batch * n_time, n_channels, slope, *self.block, num_warps=self.n_warps)
        return out


def check_modulation(fused: Modulate, device: torch.device, dtype: torch.dtype) -> None:
    """Compare with `modulated`, with a mask and without, where no size is a multiple of a block.

    Raises:
        RuntimeError: a value is farther off than three roundings.
    """
    generator = torch.Generator().manual_seed(0)
    x, film = (torch.randn(3, 37, n, generator=generator).to(device, dtype) for n in (144, 288))
    lengths = torch.tensor([37, 5, 20])[:, None, None]
    mask = (torch.arange(37)[:, None] < lengths).to(device, dtype)
    scale, shift = film.double().chunk(2, dim=2)
    allowed = 1.5 * torch.finfo(dtype).eps * ((scale * x).abs() + shift.abs()) + torch.finfo(dtype).tiny
    for ends in (Ends(mask), Ends()):
        found, expected = (f(x, film, 0.2, ends).double() for f in (fused, modulated))
        if not ((found - expected).abs() <= allowed).all():
            raise RuntimeError(f"it is off by up to {(found - expected).abs().max().item():.2g} in {dtype}")
