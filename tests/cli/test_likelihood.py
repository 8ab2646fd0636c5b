"""`wavegrad likelihood` and `wavegrad vocode --guidance`."""

import json

import pytest
import soundfile
import torch

from tests.cli.conftest import SPEECH


@pytest.fixture
def clips(tmp_path):
    """A quarter of a second of speech, the same with noise, and no audio."""
    folder = tmp_path / "clips"
    folder.mkdir()
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    part = torch.from_numpy(samples[24000:30100])
    noise = 0.02 * torch.randn(len(part), generator=torch.Generator().manual_seed(0))
    soundfile.write(folder / "clean.wav", part.numpy(), rate)
    soundfile.write(folder / "noisy.wav", (part + noise).numpy(), rate)
    (folder / "text.wav").write_text("no audio")
    return folder


def test_the_shipped_model_finds_speech_likelier_than_speech_with_noise(run, clips, tmp_path):
    result = run("likelihood", clips, "--steps", 8, "--out", tmp_path / "bits.json")
    assert result.code == 2  # one of the files is none
    assert "text.wav" in result.err
    rows = [line for line in result.out.splitlines() if ".wav" in line]
    assert [row.split("/")[-1] for row in rows] == ["clean.wav |", "noisy.wav |"]
    written = json.loads((tmp_path / "bits.json").read_text())
    assert len(written["noise_levels"]) == 8
    clean, noisy = (written["clips"][str(clips / f"{name}.wav")] for name in ("clean", "noisy"))
    assert clean["whitened"] < noisy["whitened"]
    assert f"{clean['waveform']:.4f}" in rows[0]
    assert len(clean["terms"]) == 9


def test_both_methods_run(run, model, clips):
    for method in ("bound", "ode"):
        result = run("likelihood", clips / "clean.wav", "--model", model, "--method", method, "--steps", 3)
        assert result.code == 0, result.err
        assert "| 0.25 |" in result.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", 3, "--schedule", "2"), "exclude each other"),
        (("--schedule", "public-7"), "public-6"),
        (("--out", "nowhere/bits.json"), "no folder nowhere"),
        (("--method", "flow"), "flow"),
        (("--method", "ode", "--steps", 1), "no clip could be judged"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(run, model, clips, options, message):
    result = run("likelihood", clips / "clean.wav", "--model", model, *options)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_guidance_of_the_shipped_model_is_refused_in_one_line_before_work_starts(run, clips, tmp_path):
    result = run("vocode", clips, "--out", tmp_path / "o", "--guidance", 1)
    assert result.code == 2
    assert result.err.strip().splitlines() == [result.err.strip()]
    assert "guidance is 1, but this model was trained without dropped conditions" in result.err
    assert not (tmp_path / "o").exists()
