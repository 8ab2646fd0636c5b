"""A script: compiles the kernels for an H200 without one, by way of a driver that only names its target."""

from dataclasses import replace
from typing import Any

import torch
import triton
from triton.backends.compiler import GPUTarget

from wavegrad.inference.ends import Ends
from wavegrad.inference.fused_film import FusedModulation
from wavegrad.inference.fused_rows import FusedRows


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
    compile_rows()
    print("compiled")


def compile_rows() -> None:
    """With every set of arguments that are None."""
    rows = FusedRows.load()
    kernels = finish, add_taps = OnlyCompiles(rows.finish_rows), OnlyCompiles(rows.add_taps)
    rows = replace(rows, finish_rows=finish, add_taps=add_taps)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        y, low, mask = (torch.zeros(2, *size, dtype=dtype) for size in ((50, 512), (10, 512), (50, 1)))
        for ends in (Ends(mask), Ends()):
            for added in (None, y.clone(), low):
                rows.finish_(y, torch.zeros(512, dtype=dtype), 0.2, ends, added)
        rows.phases(low.unflatten(2, (-1, 1)).expand(-1, -1, -1, 3).mT.reshape(2, 10, 3, -1), 5, 1)
    assert len(finish.compiled) == 18
    for compiled in (made for kernel in kernels for made in kernel.compiled):
        assert ".target sm_90" in compiled.asm["ptx"]
        assert "st.global.v4.b32" in compiled.asm["ptx"]
        wide = [line for line in compiled.asm["ttir"].splitlines() if "tt.addptr" in line and "32x128" in line]
        assert len(wide) >= 2
        assert all("xi64>" in line for line in wide)


if __name__ == "__main__":
    main()
