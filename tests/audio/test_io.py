"""Reading and writing files."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from wavegrad.audio import AudioWarning, audio_info, read_audio, write_audio
from wavegrad.errors import AudioError


def tone(frequency_hz: float, sample_rate: int, seconds: float = 0.5, amplitude: float = 0.5) -> Tensor:
    t = torch.arange(round(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return (amplitude * torch.sin(2 * torch.pi * frequency_hz * t)).float()


def residual_db(waveform: Tensor, frequency_hz: float, sample_rate: int) -> float:
    """Level of all that is no tone of that frequency, relative to it; the ends are left out."""
    middle = waveform.double().numpy()[len(waveform) // 4 : -len(waveform) // 4]
    phase = 2 * np.pi * frequency_hz * np.arange(len(middle)) / sample_rate
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    rest = middle - basis @ np.linalg.lstsq(basis, middle, rcond=None)[0]
    return 10 * np.log10(np.mean(rest**2) / np.mean(middle**2))


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_U8", 1 / 2**7),
        ("wav", "PCM_16", 1 / 2**15),
        ("wav", "PCM_24", 1 / 2**23),
        ("wav", "PCM_32", 1 / 2**24),
        ("wav", "FLOAT", 0),
        ("wav", "DOUBLE", 0),
        ("flac", "PCM_16", 1 / 2**15),
        ("flac", "PCM_24", 1 / 2**23),
        ("aiff", "PCM_16", 1 / 2**15),
    ],
)
def test_every_sample_format_is_read(tmp_path: Path, suffix: str, subtype: str, tolerance: float) -> None:
    waveform = tone(440, 24000)
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, waveform.numpy(), 24000, subtype)
    read, rate = read_audio(path)
    assert rate == 24000
    assert read.dtype == torch.float32
    torch.testing.assert_close(read, waveform, rtol=0, atol=tolerance)
    assert audio_info(path) == (24000, len(waveform), 1)


@pytest.mark.parametrize(("suffix", "subtype"), [("ogg", "VORBIS"), ("ogg", "OPUS"), ("mp3", "MPEG_LAYER_III")])
def test_lossy_formats_are_read(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, tone(440, 24000).numpy(), 24000, subtype)
    read, rate = read_audio(path)
    assert rate == 24000
    assert abs(len(read) - 12000) <= 1200
    assert residual_db(read, 440, 24000) < -20


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = tone(440, 24000), tone(1000, 24000)
    soundfile.write(tmp_path / "stereo.wav", torch.stack([left, right], 1).numpy(), 24000, "FLOAT")
    torch.testing.assert_close(read_audio(tmp_path / "stereo.wav")[0], (left + right) / 2)
    assert audio_info(tmp_path / "stereo.wav").channels == 2


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_a_tone_survives_resampling(tmp_path: Path, rate: int) -> None:
    """To 24 kHz and to -130 dB; measured -138 dB or better, which is the rounding of float32."""
    soundfile.write(tmp_path / "tone.wav", tone(1000, rate).numpy(), rate, "FLOAT")
    read, returned_rate = read_audio(tmp_path / "tone.wav", 24000)
    assert returned_rate == 24000
    assert abs(len(read) - 12000) <= 1
    assert residual_db(read, 1000, 24000) < -130
    assert read[3000:-3000].abs().max() == pytest.approx(0.5, abs=1e-4)


def test_resampling_leaves_no_alias(tmp_path: Path) -> None:
    """A tone above half of the new rate is gone, to -120 dB."""
    soundfile.write(tmp_path / "tone.wav", tone(11500, 24000).numpy(), 24000, "FLOAT")
    read, _ = read_audio(tmp_path / "tone.wav", 22050)
    assert read[2000:-2000].abs().max() < 0.5e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, value: float) -> None:
    samples = tone(440, 24000).numpy().copy()
    samples[[100, 200]] = value
    soundfile.write(tmp_path / "bad.wav", samples, 24000, "FLOAT")
    with pytest.raises(AudioError, match=r"bad.wav: 2 of 12000 samples are NaN or infinite, the first is 100"):
        read_audio(tmp_path / "bad.wav")


def test_files_without_samples_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 24000)
    with pytest.raises(AudioError, match=r"empty.wav: has no samples"):
        read_audio(tmp_path / "empty.wav")
    soundfile.write(tmp_path / "short.wav", np.zeros(1), 48000)
    with pytest.raises(AudioError, match=r"short.wav: has no samples at 8000 Hz"):
        read_audio(tmp_path / "short.wav", 8000)


@pytest.mark.parametrize("read", [read_audio, audio_info])
def test_what_is_no_audio_is_refused(tmp_path: Path, read: object) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    (tmp_path / "nothing.wav").touch()
    for name, reason in [
        ("text.wav", "cannot be read as audio: "),
        ("nothing.wav", "cannot be read as audio: "),
        ("missing.wav", "does not exist"),
        ("", "is not a file"),
    ]:
        with pytest.raises(AudioError, match=reason):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [read_audio, audio_info])
def test_what_may_not_be_read_says_so(tmp_path: Path, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: "cannot be read as audio: System error". The superuser may read all: the system's answer is made."""
    (tmp_path / "a.wav").touch()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK)
    with pytest.raises(AudioError, match=r"a\.wav: you may not read it; change its permissions"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["wav", "mp3"])
def test_a_file_that_was_cut_off_is_read_with_a_warning(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, tone(440, 24000, seconds=2).numpy(), 24000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(AudioWarning, match=rf"cut.{suffix}: ends earlier than its header says"):
        read, _ = read_audio(path)
    assert 10000 < len(read) < 30000


@pytest.mark.parametrize("kept", [20, 100, 17000, -10])
def test_a_flac_file_that_was_cut_off_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.flac"
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(24000), 24000)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(AudioError, match=r"cut.flac: cannot be read as audio: \w+"):
        read_audio(path)


def test_a_stream_of_unknown_length_is_read(tmp_path: Path) -> None:
    """What other programs write to a pipe: sizes of 2^32 - 1, no warning."""
    path = tmp_path / "stream.wav"
    waveform = tone(440, 24000)
    write_audio(path, waveform, 24000, "FLOAT")
    content = bytearray(path.read_bytes())
    for position in (4, content.index(b"data") + 4):
        content[position : position + 4] = b"\xff" * 4
    path.write_bytes(content)
    assert torch.equal(read_audio(path)[0], waveform)


@pytest.mark.parametrize(
    ("name", "subtype", "bits"),
    [("a.wav", "PCM_16", 16), ("a.wav", "PCM_24", 24), ("a.flac", "PCM_16", 16), ("A.FLAC", "PCM_24", 24)],
)
def test_pcm_is_written_to_the_nearest_level(tmp_path: Path, name: str, subtype: object, bits: int) -> None:
    """And what was read is written back bit for bit: no gain of 32767 / 32768."""
    full_scale = 2 ** (bits - 1)
    levels = torch.tensor([-full_scale, -full_scale + 1, -1, 0, 1, full_scale - 1], dtype=torch.float64)
    off_by = torch.tensor([0.4, -0.4, 0.4, -0.4, 0.4, -0.4], dtype=torch.float64)
    assert write_audio(tmp_path / name, (levels + off_by) / full_scale, 22050, subtype) == 0
    read, rate = read_audio(tmp_path / name)
    assert rate == 22050
    assert torch.equal(read.double() * full_scale, levels)
    assert soundfile.info(str(tmp_path / name)).subtype == subtype


def test_float_keeps_every_value(tmp_path: Path) -> None:
    waveform = torch.tensor([-3.0, 0.1, 1e-30, 1.5])
    assert write_audio(tmp_path / "a.wav", waveform, 24000, "FLOAT") == 0
    assert torch.equal(read_audio(tmp_path / "a.wav")[0], waveform)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_clipping_is_counted_and_said(tmp_path: Path, subtype: object) -> None:
    waveform = torch.tensor([0.5, 1.0, -1.0, 2.0, -1.001])
    with pytest.warns(AudioWarning, match=r"a.wav: 2 of 5 samples clipped, the peak is 6.0 dB above full scale"):
        assert write_audio(tmp_path / "a.wav", waveform, 24000, subtype) == 2
    read, _ = read_audio(tmp_path / "a.wav")
    torch.testing.assert_close(read, waveform.clamp(-1, 1), rtol=0, atol=1 / 2**15)


@pytest.mark.parametrize(
    ("name", "subtype", "waveform", "message"),
    [
        ("a.mp3", "PCM_16", torch.zeros(10), "written as .wav or .flac"),
        ("a.flac", "FLOAT", torch.zeros(10), "FLAC cannot hold FLOAT"),
        ("a.wav", "PCM_16", torch.tensor([0.0, np.nan]), "1 of 2 samples are NaN or infinite"),
        ("a.wav", "PCM_16", torch.zeros(1, 10), r"has shape \(1, 10\)"),
        ("nowhere/a.wav", "PCM_16", torch.zeros(10), "cannot be written: No such file or directory"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, name: str, subtype: object, waveform: Tensor, message: str
) -> None:
    with pytest.raises(AudioError, match=message):
        write_audio(tmp_path / name, waveform, 24000, subtype)
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, tone(440, 24000), 24000)
    before = path.read_bytes()

    def fail(source: object, target: object) -> None:
        assert path.read_bytes() == before  # so far the new file has another name
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(AudioError, match="cannot be written: No space left on device"):
        write_audio(path, tone(1000, 24000), 24000)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
