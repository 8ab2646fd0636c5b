"""`wavegrad vocode` of long files: streamed, the same audio, and what was done stays when it is interrupted."""

import copy
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from tests.cli.conftest import COMMAND, SPEECH
from wavegrad.audio import read_audio
from wavegrad.audio.io import write_audio
from wavegrad.cli.chunks import Chunks
from wavegrad.vocoder import Vocoder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def speech(tmp_path):
    """A second, at another rate than the model's."""
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    soundfile.write(tmp_path / "speech.wav", samples[24000:46001], rate * 44100 // 24000)
    return tmp_path / "speech.wav"


@pytest.mark.parametrize("kind", ["audio", "mel"])
def test_a_streamed_file_is_the_file(run, model, speech, tmp_path, monkeypatch, kind):
    if kind == "mel":
        assert run("mel", speech, "--out", tmp_path / "m.npy", "--model", model).code == 0
        speech = tmp_path / "m.npy"
    options = ("--model", model, "--subtype", "FLOAT")
    assert run("vocode", speech, "--out", tmp_path / "whole.wav", *options).code == 0
    monkeypatch.setattr("wavegrad.cli.long_files.LONG_S", 0.1)
    result = run("vocode", speech, "--out", tmp_path / "new" / "streamed.wav", *options)
    assert result.code == 0, result.err
    assert "1 file, 0." in result.out
    whole, streamed = (soundfile.read(tmp_path / name)[0] for name in ("whole.wav", "new/streamed.wav"))
    assert len(whole) == len(streamed)
    assert np.abs(whole - streamed).max() < 1e-5 * np.abs(whole).max()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_leaves_a_shorter_file(model, tmp_path, number, code):
    """Half an hour of mel: minutes of work, ended as soon as the first second of it is being written."""
    np.save(tmp_path / "long.npy", np.full((128, 1800 * 80), -7.0, np.float32))
    command = [*COMMAND, "vocode", "long.npy", "--out", "long.wav", "--model", model]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 300
            while not any(p.stat().st_size > 1000 for p in tmp_path.glob(".long.wav.*.tmp")):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(number)
            _, said = process.communicate(timeout=200)
        finally:
            process.kill()
    assert process.returncode == code
    samples, rate = soundfile.read(tmp_path / "long.wav")
    assert rate == 24000
    assert 1000 <= len(samples) < 1800 * 24000
    assert f"long.wav holds the first {len(samples) / rate:.2f} s" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob(".*"))


@pytest.fixture(scope="session")
def listening(model, tmp_path_factory):
    """A model whose network says something, so that what it does not see yet matters."""
    vocoder = Vocoder.from_pretrained(model)
    network = copy.deepcopy(vocoder.network)
    torch.nn.init.normal_(network.output_conv.weight, std=0.01, generator=torch.Generator().manual_seed(0))
    directory = tmp_path_factory.mktemp("model") / "listening"
    replace(vocoder, network=network).save_pretrained(directory)
    return str(directory)


@pytest.mark.parametrize(("kind", "bound"), [("audio", 3), ("mel", 0)])
def test_a_bounded_look_ahead_is_that_of_the_stream(run, listening, tmp_path, kind, bound):
    """Cut into chunks of 5 frames, whatever the length of what is read; enough look-ahead is the exact result."""
    vocoder = Vocoder.from_pretrained(listening)
    waveform, _ = read_audio(SPEECH / "kathleen.flac")
    waveform = waveform[24000:29999]
    write_audio(tmp_path / "s.wav", waveform, 24000, "FLOAT")
    mel = vocoder.mel(F.pad(waveform, (0, 1)))
    np.save(tmp_path / "m.npy", mel.numpy())
    source = tmp_path / ("s.wav" if kind == "audio" else "m.npy")
    options = ("--model", listening, "--subtype", "FLOAT", "--chunk-frames", 5, "--lookahead-frames")
    for frames in (bound, 15):
        assert run("vocode", source, "--out", tmp_path / f"{frames}.wav", *options, frames).code == 0
    expected = torch.cat(list(vocoder.stream(mel.split(5, dim=1), lookahead_frames=bound))).numpy()
    exact = vocoder(mel).numpy()
    made, enough = (soundfile.read(tmp_path / f"{frames}.wav")[0] for frames in (bound, 15))
    assert np.abs(made - expected[: len(made)]).max() < 1e-5 * np.abs(expected).max()
    assert np.abs(enough - exact[: len(made)]).max() < 1e-5 * np.abs(exact).max()
    assert np.abs(made - enough).max() > 1e-3 * np.abs(exact).max()


@pytest.mark.parametrize("lengths", [[1], [5], [3, 0, 9], [2, 2, 2, 2], [0, 4], [12, 1]])
def test_chunks_are_equal_but_for_the_last(lengths):
    mel = torch.arange(float(sum(lengths))).expand(2, -1)
    chunks = list(Chunks(4).cut(mel.split(lengths, dim=1)))
    assert torch.equal(torch.cat(chunks, dim=1), mel)
    assert [chunk.shape[1] for chunk in chunks[:-1]] == [4] * (len(chunks) - 1)
    assert 1 <= chunks[-1].shape[1] <= 4


def test_a_fault_near_the_end_is_met_at_the_beginning(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr("wavegrad.cli.long_files.LONG_S", 0.1)
    monkeypatch.setattr("wavegrad.vocoder.Vocoder.stream", None)
    mel = np.full((128, 3000), -7.0, np.float32)
    mel[5, 2990] = np.nan
    np.save(tmp_path / "m.npy", mel)
    result = run("vocode", tmp_path / "m.npy", "--out", tmp_path / "o", "--model", model)
    assert result.code == 2
    assert "the first is nan at (5, 2990)" in result.err
    assert not (tmp_path / "o").exists()


def test_a_doubtful_mel_is_doubted_once(run, model, tmp_path, monkeypatch):
    """Not chunk by chunk: of a mel with contrast, a chunk may well be flat."""
    monkeypatch.setattr("wavegrad.cli.long_files.LONG_S", 0.1)
    mel = np.full((128, 300), -6.0, np.float32)
    mel += np.arange(300, dtype=np.float32) / 1000
    np.save(tmp_path / "flat.npy", mel)
    mel[:, 250:] = -11
    np.save(tmp_path / "speech.npy", mel)
    result = run("vocode", tmp_path / "*.npy", "--out", tmp_path / "o", "--model", model)
    assert result.code == 0, result.err
    assert result.err.count("without contrast") == 1
