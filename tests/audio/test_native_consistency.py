"""The projection in C: what PyTorch's operations make of it, in every convention, and when it is not used."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.audio.test_consistency import CONFIGS, mel_of, noisy, speech
from tests.test_compiled import needs_compiler
from wavegrad.audio import MEL_PRESETS, consistency, mel_preset
from wavegrad.audio.consistency import MelConsistency, native_projection
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.native_consistency import LANES, NativeProjection, SparseBands
from wavegrad.compiled import KernelWarning

ALL = CONFIGS | {name: mel_preset(name) for name in MEL_PRESETS}
ALL["empty bands"] = replace(CONFIGS["same"], n_mels=60)
ALL["normalized powers"] = replace(CONFIGS["powers"], stft_normalized=True)
ALL["half of the band"] = replace(CONFIGS["same"], f_min=200.0, f_max=500.0)


def drawn(config: MelConfig, n_batch: int = 2, n_frames: int = 7) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Spectra of two iterations that have nothing to do with each other, and bounds of which some are open."""
    generator = torch.Generator().manual_seed(config.n_fft)
    shape = n_batch, n_frames, config.n_fft // 2 + 1
    present, previous = torch.randn(2, *shape, dtype=torch.complex64, generator=generator)
    present[0, 0], previous[0, 1], present[:, 2] = 0, 0, previous[:, 2]
    present[:, 3] = previous[:, 3] = 0  # digital silence
    low, width = torch.rand(2, n_batch, n_frames, config.n_mels, generator=generator)
    low[..., ::3] = 0
    high = low + width
    high[..., 1::4] = torch.inf
    return present, previous, (low, high)


def native_of(config: MelConfig) -> NativeProjection:
    native = native_projection(config)
    assert native is not None
    return native


@needs_compiler
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("name", ALL)
def test_as_float64(name: str, n_threads: int) -> None:
    """As near to PyTorch's operations in float64 as those in float32, times two."""
    config, before = ALL[name], torch.get_num_threads()
    present, previous, bounds = drawn(config, n_frames=40)  # of presets enough for a second thread
    native = native_of(config)
    torch.set_num_threads(n_threads)
    try:
        found = native(present, previous, bounds)
    finally:
        torch.set_num_threads(before)
    double = present.cdouble(), previous.cdouble(), (bounds[0].double(), bounds[1].double())
    exact = MelConsistency(config, 1, torch.float64).projected(*double)
    plain = MelConsistency(config, 1).projected(present, previous, bounds)
    error, error_of_plain = ((made - exact).norm() / exact.norm() for made in (found, plain))
    assert error < 2 * error_of_plain + 1e-7
    assert error < 1e-6


@needs_compiler
def test_parts_of_larger_tensors() -> None:
    config = CONFIGS["same"]
    native = native_of(config)
    present, previous, bounds = drawn(config)
    whole = native(present, previous, bounds)
    parts = [x[:, 2:5] for x in (present, previous, *bounds)]
    assert not any(part.is_contiguous() for part in parts)
    assert torch.equal(native(parts[0], parts[1], (parts[2], parts[3])), whole[:, 2:5])


@needs_compiler
def test_what_is_no_number_stays_none_and_in_its_frame() -> None:
    config = CONFIGS["same"]
    native = native_of(config)
    present, previous, bounds = drawn(config)
    whole = native(present, previous, bounds)
    present[0, 5, 20] = torch.nan
    found = native(present, previous, bounds)
    assert found[0, 5, 20].isnan()
    others = torch.ones(2, 7, dtype=torch.bool)
    others[0, 5] = False
    assert torch.equal(found[others], whole[others])


@pytest.mark.parametrize("name", ALL)
def test_the_bands_are_the_filterbank(name: str) -> None:
    """Written out again, they are the two matrices."""
    plain = MelConsistency(ALL[name], 1)
    bands = SparseBands.of(plain.filterbank, plain.to_bins, plain.unheard)
    n_mels, n_freqs = plain.filterbank.shape
    filterbank, at = torch.zeros(n_mels, n_freqs + LANES), 0
    for m in range(n_mels):
        start, width = int(bands.starts[m]), int(bands.widths[m])
        filterbank[m, start : start + width] = bands.heard[at : at + width]
        at += width
    assert torch.equal(filterbank, torch.nn.functional.pad(plain.filterbank, (0, LANES)))
    to_bins, bins = torch.zeros(n_mels + 1, n_freqs), torch.arange(n_freqs)
    to_bins[bands.bands.long(), bins] += bands.falling  # row m + 1 is band m
    to_bins[bands.bands.long() + 1, bins] += bands.rising
    assert torch.equal(to_bins[1:], plain.to_bins)
    assert torch.equal(bands.unheard, plain.unheard)


def calls(monkeypatch: pytest.MonkeyPatch) -> list[MelConfig]:
    """The conventions whose projection in C is asked for, from now on."""
    asked: list[MelConfig] = []
    monkeypatch.setattr(consistency, "native_projection", lambda config: asked.append(config))
    return asked


@pytest.mark.parametrize("case", ["used", "not fused", "float64", "gradient of the waveform", "gradient of the mel"])
def test_when_it_is_used(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, config = calls(monkeypatch), CONFIGS["same"]
    target = speech(config, 6)
    waveform, mel = noisy(target), mel_of(target, config)
    if case == "float64":
        waveform, mel = waveform.double(), mel.double()
    waveform.requires_grad_(case == "gradient of the waveform")
    mel.requires_grad_(case == "gradient of the mel")
    made = MelConsistency(config, 2, waveform.dtype, fused=case != "not fused")(waveform, mel)
    assert asked == ([config] * 2 if case == "used" else [])
    if case.startswith("gradient"):
        made.square().sum().backward()
        gradient = waveform.grad if mel.grad is None else mel.grad
        assert gradient is not None
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0


@needs_compiler
@pytest.mark.parametrize("name", ["same", "powers", "normalized"])
def test_few_iterations_with_and_without(name: str) -> None:
    config = CONFIGS[name]
    target = speech(config, 30)
    waveform, mel = noisy(target), mel_of(target, config)
    with_c, without = (MelConsistency(config, 4, fused=fused)(waveform, mel) for fused in (True, False))
    assert not torch.equal(with_c, without)
    assert torch.allclose(with_c, without, atol=1e-5)


@needs_compiler
def test_one_that_is_wrong_is_reported_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    right = SparseBands.of

    def too_loud(*matrices: Tensor) -> SparseBands:
        bands = right(*matrices)
        return replace(bands, rising=1.1 * bands.rising)

    monkeypatch.setattr(SparseBands, "of", too_loud)
    native_projection.cache_clear()
    try:
        with pytest.warns(KernelWarning, match="projection of a spectrogram differs from PyTorch's"):
            assert native_projection(CONFIGS["same"]) is None
    finally:
        native_projection.cache_clear()
