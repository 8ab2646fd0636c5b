"""Mels, files and their writing block by block: the same as at once."""

import itertools
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from wavegrad.audio import AudioWarning, MelSpectrogram, read_audio, write_audio
from wavegrad.audio.blocks import read_blocks
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.stream_mel import mel_blocks
from wavegrad.audio.writer import AudioWriter
from wavegrad.errors import AudioError

SAME = MelConfig(24000, n_fft=256, win_length=200, hop_length=60, n_mels=10, f_min=50.0, f_max=11000.0)
CENTER = replace(SAME, centring="center")
ZEROS = replace(SAME, pad_mode="constant")
WIDE_HOP = replace(CENTER, hop_length=SAME.win_length)


def noise(n_samples: int) -> Tensor:
    return 0.1 * torch.randn(n_samples, generator=torch.Generator().manual_seed(0))


@settings(max_examples=25)
@given(
    st.sampled_from([SAME, CENTER, ZEROS, WIDE_HOP]), st.integers(2, 2000), st.lists(st.integers(0, 2000), max_size=9)
)
def test_the_mel_of_blocks_is_the_mel_of_the_whole(config: MelConfig, n_samples: int, cuts: list[int]) -> None:
    waveform, front_end = noise(n_samples), MelSpectrogram(config)
    borders = [0, *sorted(min(cut, n_samples) for cut in cuts), n_samples]
    blocks = [waveform[a:b] for a, b in itertools.pairwise(borders)]
    whole = front_end(torch.nn.functional.pad(waveform, (0, -n_samples % config.hop_length))[None])[0]
    torch.testing.assert_close(torch.cat(list(mel_blocks(blocks, front_end)), dim=1), whole, rtol=0, atol=1e-5)


def test_a_waveform_of_no_sample_has_no_mel() -> None:
    with pytest.raises(AudioError, match="0 samples are too few"):
        list(mel_blocks([torch.zeros(0)], MelSpectrogram(SAME)))


@pytest.mark.parametrize(("rate", "channels"), [(24000, 1), (24000, 2), (44100, 1), (16000, 2)])
def test_a_file_read_in_blocks_is_the_file(tmp_path: Path, rate: int, channels: int) -> None:
    samples = noise(channels * 12 * rate).view(-1, channels).numpy()
    soundfile.write(tmp_path / "a.wav", samples, rate, "FLOAT")
    whole, _ = read_audio(tmp_path / "a.wav", 24000)
    blocks = list(read_blocks(tmp_path / "a.wav", 24000))
    assert len(blocks) > 1
    torch.testing.assert_close(torch.cat(blocks), whole, rtol=0, atol=1e-6)


def test_faults_of_a_file_are_met_where_they_are(tmp_path: Path) -> None:
    samples = noise(8 * 24000).numpy()
    samples[7 * 24000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 24000, "FLOAT")
    blocks = read_blocks(tmp_path / "nan.wav", 24000)
    assert len(next(blocks)) == 5 * 24000
    with pytest.raises(AudioError, match="the first is 168000"):
        next(blocks)
    (tmp_path / "text.wav").write_text("not audio")
    with pytest.raises(AudioError, match="cannot be read as audio"):
        next(read_blocks(tmp_path / "text.wav", 24000))
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 24000)
    with pytest.raises(AudioError, match="no samples"):
        next(read_blocks(tmp_path / "empty.wav", 24000))
    soundfile.write(tmp_path / "whole.wav", noise(24000).numpy(), 24000)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:20000])
    with pytest.warns(AudioWarning, match="cut off"):
        list(read_blocks(tmp_path / "cut.wav", 24000))


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.flac", "PCM_24")]
)
def test_written_in_blocks_the_file_has_the_same_samples(tmp_path: Path, name: str, subtype: str) -> None:
    waveform = noise(5000)
    (tmp_path / "whole").mkdir()
    with AudioWriter(tmp_path / name, 24000, subtype) as writer:
        for block in waveform.split([1, 0, 999, 4000]):
            writer.write(block)
            assert not (tmp_path / name).exists()
    write_audio(tmp_path / "whole" / name, waveform, 24000, subtype)
    a, b = (soundfile.read(path, dtype="float64")[0] for path in (tmp_path / name, tmp_path / "whole" / name))
    assert np.array_equal(a, b)
    assert soundfile.info(tmp_path / name).subtype == subtype
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "whole"])


def write_all(path: Path, blocks: list[Tensor], then: type[BaseException] | None = None) -> None:
    with AudioWriter(path, 24000) as writer:
        for block in blocks:
            writer.write(block)
        if then is not None:
            raise then


def test_clipping_is_told_once_at_the_end(tmp_path: Path) -> None:
    with pytest.warns(AudioWarning, match=r"2 of 3 samples clipped, the peak is 6\.0 dB above") as told:
        write_all(tmp_path / "a.wav", [torch.tensor([2.0]), torch.tensor([-1.5, 0.5])])
    assert len(told) == 1


def test_an_interruption_keeps_what_there_is_and_an_error_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_audio(path, noise(10), 24000)
    with pytest.raises(AudioError, match="NaN"):
        write_all(path, [noise(100), torch.tensor([float("nan")])])
    assert soundfile.info(path).frames == 10
    with pytest.raises(KeyboardInterrupt):
        write_all(path, [], KeyboardInterrupt)
    assert soundfile.info(path).frames == 10
    with pytest.raises(KeyboardInterrupt):
        write_all(path, [noise(100)], KeyboardInterrupt)
    assert soundfile.info(path).frames == 100
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("name", "subtype", "message"),
    [
        ("a.mp3", "PCM_16", ".wav or .flac"),
        ("a.flac", "FLOAT", "cannot hold"),
        ("no/a.wav", "PCM_16", "cannot be written"),
    ],
)
def test_targets_that_cannot_be(tmp_path: Path, name: str, subtype: str, message: str) -> None:
    with warnings.catch_warnings(), pytest.raises(AudioError, match=message):
        AudioWriter(tmp_path / name, 24000, subtype)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_full_disk_is_said_and_keeps_the_old_file(tmp_path: Path, name: str) -> None:
    write_audio(tmp_path / name, noise(10), 24000)
    (tmp_path / f".{name}.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(AudioError, match="cannot be written: No space left on device") as caught:
        write_all(tmp_path / name, [noise(300)])
    assert isinstance(caught.value.__cause__, OSError)
    assert soundfile.info(tmp_path / name).frames == 10
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("n_missing", [1, 100, 3000])
def test_wherever_the_room_ends_the_old_file_stays(tmp_path: Path, name: str, n_missing: int) -> None:
    """A FLAC file lost its last frame without an error."""
    resource = pytest.importorskip("resource")
    write_all(tmp_path / name, [noise(20_000)])
    size = (tmp_path / name).stat().st_size
    write_audio(tmp_path / name, noise(10), 24000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size - n_missing, limits[1]))
        with pytest.raises(AudioError, match="cannot be written: File too large"):
            write_all(tmp_path / name, [noise(20_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert soundfile.info(tmp_path / name).frames == 10
    assert [p.name for p in tmp_path.iterdir()] == [name]
