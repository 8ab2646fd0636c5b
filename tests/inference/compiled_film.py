"""A script: compiles the kernel for an H200 without one, by way of a driver that only names its target."""

from dataclasses import replace
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from wavegrad.inference.ends import Ends
from wavegrad.inference.fused_film import FusedModulation


class NamesATarget:
    """What Triton asks a driver before it compiles."""

    def get_current_target(self) -> GPUTarget:
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


class OnlyCompiles:
    """In place of the kernel: takes its calls, and launches nothing."""

    def __init__(self, kernel: Any):
        self.kernel = kernel
        self.compiled: list[Any] = []
        self.grids: list[tuple[int, int]] = []

    def __getitem__(self, grid: tuple[int, int]) -> Any:
        self.grids.append(grid)
        return lambda *arguments, **options: self.compiled.append(self.kernel.warmup(*arguments, grid=grid, **options))


def main() -> None:
    triton.runtime.driver.set_active(NamesATarget())
    fused = FusedModulation.load()
    only_compiles = OnlyCompiles(fused.kernel)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        x, film, mask = (torch.zeros(2, 50, n, dtype=dtype) for n in (512, 1024, 1))
        for ends in (Ends(mask), Ends()):
            out = replace(fused, kernel=only_compiles)(x, film, 0.2, ends)
            assert out.dtype == dtype
            addresses = [line for line in only_compiles.compiled[-1].asm["ttir"].splitlines() if "tt.addptr" in line]
            assert len(addresses) == 4 + (ends.mask is not None)
            assert all("xi64>" in line for line in addresses)  # 2^31 values are soon reached
            ptx = only_compiles.compiled[-1].asm["ptx"]
            assert ".target sm_90" in ptx
            assert (dtype == torch.float32) or "cvt.rn" in ptx  # to the nearest, which the interpreter does not
            assert only_compiles.compiled[-1].asm["cubin"].startswith(b"\x7fELF")
            # 16 bytes at a time, and (but for the mask) no loads of less
            assert ptx.count("ld.global.v4.b32") == 3 * 16 * dtype.itemsize // 16
            assert ptx.count("st.global.v4.b32") == 16 * dtype.itemsize // 16
            assert (ptx.count("ld.global.b") > 0) == (ends.mask is not None)
    assert set(only_compiles.grids) == {(4, 4)}
    print("compiled")


if __name__ == "__main__":
    main()
