"""`wavegrad vocode` where the memory is not enough for a file: a stream instead, or one line."""

import numpy as np
import pytest
import soundfile
import torch

from wavegrad.inference import is_of_memory
from wavegrad.vocoder import Vocoder

CPU_ALLOCATOR = "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
SHORTAGES = [
    pytest.param(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"), id="GPU"),
    pytest.param(RuntimeError(CPU_ALLOCATOR), id="CPU"),
    pytest.param(MemoryError(), id="Python"),
    pytest.param(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), id="library"),
    pytest.param(RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling cublasCreate"), id="handle"),
    pytest.param(RuntimeError("GET was unable to find an engine to execute this computation"), id="workspace"),
]


@pytest.fixture
def folder(tmp_path):
    """Three files of audio; the second is the longest."""
    (tmp_path / "in").mkdir()
    generator = np.random.default_rng(0)
    for name, n_samples in (("a", 1500), ("b", 4000), ("c", 1501)):
        soundfile.write(tmp_path / "in" / f"{name}.wav", 0.1 * generator.standard_normal(n_samples), 24000)
    return tmp_path / "in"


def plant(monkeypatch, error, most_frames):
    """A vocoder that fails for more than so many frames in a call, after a step."""
    call = Vocoder.__call__

    def limited(self, mel, *args, **options):
        if mel.shape[-1] * (len(mel) if mel.dim() == 3 else 1) > most_frames:
            if options.get("on_step") is not None:
                options["on_step"](2, torch.zeros(1, 1))
            raise error
        return call(self, mel, *args, **options)

    monkeypatch.setattr(Vocoder, "__call__", limited)


def read(folder):
    return {path.name: soundfile.read(path)[0] for path in folder.iterdir()}


@pytest.mark.parametrize("error", SHORTAGES)
def test_what_is_a_lack_of_memory(error):
    assert is_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shape mismatch"), ValueError("out of memory"), KeyError("memory")])
def test_what_is_none(error):
    assert not is_of_memory(error)


@pytest.mark.parametrize(("batch", "error"), [(1, SHORTAGES[0].values[0]), (3, SHORTAGES[1].values[0])])
def test_a_file_that_does_not_fit_is_streamed(run, model, folder, tmp_path, monkeypatch, error, batch):
    options = ("--model", model, "--subtype", "FLOAT", "--device", "cpu")
    assert run("vocode", folder, "--out", tmp_path / "whole", *options).code == 0
    plant(monkeypatch, error, 10)
    result = run("vocode", folder, "--out", tmp_path / "pieces", *options, "--batch", batch)
    assert result.code == 0, result.err
    whole, pieces = read(tmp_path / "whole"), read(tmp_path / "pieces")
    assert whole.keys() == pieces.keys()
    for name in whole:
        assert len(whole[name]) == len(pieces[name])
        assert np.abs(whole[name] - pieces[name]).max() < 1e-5 * np.abs(whole[name]).max()
    said = [line for line in result.err.splitlines() if "not enough memory for 14 frames at once: made as" in line]
    assert len(said) == 1
    assert said[0].startswith(f"{folder / ('b.wav' if batch == 1 else 'a.wav')}: ")
    assert "3 files, 0.29 s of audio" in result.out


def test_what_cannot_be_streamed_is_one_line(run, model, folder, tmp_path, monkeypatch):
    plant(monkeypatch, SHORTAGES[0].values[0], 10)
    result = run("vocode", folder, "--out", tmp_path / "o", "--model", model, "--sampler", "heun")
    assert result.code == 2
    message = "not enough memory for 14 frames at once, and Heun(data_std=1.0) cannot be streamed; cut the file"
    assert len([line for line in result.err.splitlines() if line.startswith(f"{folder / 'b.wav'}: {message}")]) == 1
    assert "Traceback" not in result.err
    assert sorted(read(tmp_path / "o")) == ["a.wav", "c.wav"]


@pytest.mark.parametrize(("is_long", "error"), [(False, SHORTAGES[1].values[0]), (True, SHORTAGES[2].values[0])])
def test_not_even_a_stream(run, model, folder, tmp_path, monkeypatch, error, is_long):
    plant(monkeypatch, error, 10)
    if is_long:
        monkeypatch.setattr("wavegrad.cli.long_files.LONG_S", 0.1)

    def fail(self, piece):
        raise error

    monkeypatch.setattr("wavegrad.streaming.VocoderStream.push", fail)
    result = run("vocode", folder, "--out", tmp_path / "o", "--model", model)
    assert result.code == 2
    assert f"{folder / 'b.wav'}: not enough memory, even for a stream; end other programs" in result.err
    assert "Traceback" not in result.err
    assert sorted(read(tmp_path / "o")) == ["a.wav", "c.wav"]


def test_another_fault_of_ours_is_no_lack_of_memory(run, model, folder, tmp_path, monkeypatch):
    plant(monkeypatch, RuntimeError("shape mismatch"), 10)
    for batch in (1, 3):
        with pytest.raises(RuntimeError, match="shape mismatch"):
            run("vocode", folder, "--out", tmp_path / "o", "--model", model, "--batch", batch, "--overwrite")
