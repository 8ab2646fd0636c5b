"""`wavegrad export`, and the documented runner that needs numpy and onnxruntime only."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import soundfile

from wavegrad.diffusion import NoiseSchedule

RUNNER = """
import sys
import wave

import numpy as np
import onnxruntime

model, mel_file, audio_file, seed = *sys.argv[1:4], 0
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
mel = np.load(mel_file).astype(np.float32)[None]  # batch, n_mels, frames
samples = mel.shape[2] * int(about["hop_length"])
noise = np.random.default_rng(seed).standard_normal((int(about["n_steps"]), 1, samples), np.float32)
(audio,) = session.run(["audio"], {"mel": mel, "noise": noise})
pcm = np.round(np.clip(audio[0], -1, 1) * 32767).astype("<i2")
with wave.open(audio_file, "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(int(about["sample_rate"]))
    file.writeframes(pcm.tobytes())
"""
"""That of the README."""


def test_the_runner_makes_audio_without_torch(run, model, tmp_path):
    assert run("export", "--onnx", tmp_path / "v.onnx", "--model", model, "--steps", 3).code == 0
    np.save(tmp_path / "m.npy", np.full((128, 11), -6.0, np.float32))
    script = "import sys\nsys.modules['torch'] = None\n" + RUNNER
    files = [str(tmp_path / name) for name in ("v.onnx", "m.npy", "a.wav")]
    subprocess.run([sys.executable, "-c", script, *files], check=True)
    samples, rate = soundfile.read(tmp_path / "a.wav")
    assert (samples.shape, rate) == ((11 * 300,), 24000)
    assert 0 < np.abs(samples).max() <= 1


def test_a_single_network_call(run, model, tmp_path):
    result = run("export", "--onnx", tmp_path / "n.onnx", "--part", "network", "--model", model)
    assert result.code == 0, result.err
    assert result.out.startswith(f"{tmp_path / 'n.onnx'}: network, ")
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["y", "mel", "noise_level"]
    assert [path.name for path in tmp_path.iterdir()] == ["n.onnx"]


def test_the_iterations_that_are_asked_for(run, model, tmp_path):
    """And the sampler; and a schedule file of any name."""
    schedule = tmp_path / "schedule"
    NoiseSchedule.log_snr(1, 20.0, -20.0).save(schedule)
    for options, n_iter, sampler in (
        (("--griffin-lim", 2), "2", "dpm++2m"),
        (("--sampler", "ddim:eta=0.5"), "0", "ddim:eta=0.5"),
    ):
        result = run("export", "--onnx", tmp_path / "v.onnx", "--model", model, "--schedule", schedule, *options)
        assert (result.code, result.err) == (0, "")
        session = onnxruntime.InferenceSession(tmp_path / "v.onnx", providers=["CPUExecutionProvider"])
        about = session.get_modelmeta().custom_metadata_map
        assert (about["griffin_lim"], about["n_steps"], about["sampler"]) == (n_iter, "1", sampler)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "nothing to write; name a file with --onnx or --program"),
        (("--onnx", "nowhere/v.onnx"), "there is no folder nowhere"),
        (("--onnx", "v.onnx", "--steps", "6", "--schedule", "6"), "--steps and --schedule exclude each other"),
        (("--onnx", "v.onnx", "--schedule", "fibonaci"), "unknown schedule 'fibonaci'"),
        (("--onnx", "v.onnx", "--schedule", "none.json"), "none.json: No such file or directory"),
        (("--onnx", "n.onnx", "--part", "network", "--griffin-lim", "2"), "the network alone has no iterations"),
        (("--onnx", "n.onnx", "--part", "network", "--steps", 6), "--steps is for ONNX files of the sampler"),
        (("--program", "n.pt2", "--schedule", "6"), "--schedule is for ONNX files of the sampler"),
        (("--onnx", "."), ". is a folder; name the file to write"),
        (("--program", "n.pt2", "--griffin-lim", "0"), "--griffin-lim is for ONNX files of the sampler"),
        (("--onnx", "n.onnx", "--part", "network", "--sampler", "ddim"), "--sampler is for ONNX files of the sampler"),
        (("--onnx", "v.onnx", "--sampler", "dpm++2s"), "cannot be streamed or exported"),
        (("--onnx", "v.onnx", "--sampler", "dmp++2m"), "unknown sampler 'dmp++2m'"),
    ],
)
def test_mistakes(run, model, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = run("export", "--model", model, *options)
    assert result.code == 2
    assert message in result.err
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_and_a_full_disk_end_without_a_traceback():
    closed = f"{sys.executable} -m wavegrad --version | true"
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", closed], capture_output=True, text=True)
    assert ended.returncode in (0, 128 + 13)  # 0: `true` had not ended yet
    assert "Traceback" not in ended.stderr
    full = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m wavegrad --version > /dev/full"], capture_output=True, text=True
    )
    assert full.returncode == 2
    assert "Traceback" not in full.stderr
