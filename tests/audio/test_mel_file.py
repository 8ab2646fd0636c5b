"""Mel files: what is refused, and that nothing in them is run."""

import io
import pickle
import random
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from wavegrad.audio.mel_file import BLOCK_FRAMES, count_frames, read_mel, read_mel_blocks, write_mel
from wavegrad.errors import AudioError


def test_a_damaged_pickle_is_an_audio_error_whatever_its_bytes_spell(tmp_path):
    """Some spelt an AssertionError or an IndexError, which ended the whole batch."""
    intact = io.BytesIO()
    torch.save(torch.zeros(128, 5), intact, _use_new_zipfile_serialization=False)
    rng, refused = random.Random(0), 0
    for _ in range(200):
        damaged = bytearray(intact.getvalue())
        for _ in range(4):
            damaged[rng.randrange(500)] = rng.randrange(256)
        (tmp_path / "m.pt").write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about the same bytes
            try:
                read_mel(tmp_path / "m.pt", 128)
            except AudioError:
                refused += 1
    assert refused > 100


class Payload:
    """Would run code on unpickling."""

    def __reduce__(self):
        return (print, ("run",))


def test_no_code_in_a_mel_file_is_run(tmp_path, capsys):
    (tmp_path / "m.pt").write_bytes(pickle.dumps(Payload(), protocol=2))
    np.save(tmp_path / "m.npy", np.array(Payload(), dtype=object), allow_pickle=True)
    for name in ("m.pt", "m.npy"):
        with pytest.raises(AudioError, match="cannot be read as a mel"):
            read_mel(tmp_path / name, 128)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 128), np.float32), r"shape \(5, 128\).*transpose it"),
        (np.zeros((1, 5, 128), np.float32), r"shape \(1, 5, 128\).*transpose it"),
        (np.zeros((2, 128, 5), np.float32), r"shape \(2, 128, 5\); \(128, frames\) is expected$"),
        (np.zeros(128, np.float32), r"shape \(128,\); \(128, frames\) is expected$"),
        (np.zeros((80, 5), np.float32), r"shape \(80, 5\); \(128, frames\) is expected$"),
        (np.zeros((128, 5), np.complex64), "complex numbers"),
        (np.full((128, 5), "x"), "cannot be read as a mel"),
    ],
)
def test_an_array_that_is_no_mel_is_refused(tmp_path, array, message):
    np.save(tmp_path / "m.npy", array)
    with pytest.raises(AudioError, match=message):
        read_mel(tmp_path / "m.npy", 128)
    with pytest.raises(AudioError, match=message):
        list(read_mel_blocks(tmp_path / "m.npy", 128))


def test_an_archive_of_arrays_is_no_mel(tmp_path):
    with (tmp_path / "m.npy").open("wb") as file:
        np.savez(file, mel=np.zeros((128, 5), np.float32))
    with pytest.raises(AudioError, match="NpzFile"):
        read_mel(tmp_path / "m.npy", 128)


LONG = np.random.default_rng(0).standard_normal((3, 2 * BLOCK_FRAMES + 7))


@pytest.mark.parametrize(
    "array",
    [
        pytest.param(LONG.astype(np.float32), id="float32"),
        pytest.param(LONG.astype(np.float16), id="float16"),
        pytest.param(LONG, id="float64"),
        pytest.param(np.asfortranarray(LONG), id="columns first"),
        pytest.param(LONG[None], id="a batch of one"),
        pytest.param((8 * LONG).astype(np.int16), id="whole numbers"),
        pytest.param(LONG[:, :0], id="empty"),
        pytest.param(LONG[:, :BLOCK_FRAMES], id="one block"),
    ],
)
def test_the_blocks_together_are_the_mel(tmp_path, array):
    np.save(tmp_path / "m.npy", array)
    torch.save(torch.from_numpy(array), tmp_path / "m.pt")
    for name in ("m.npy", "m.pt"):
        mel, blocks = read_mel(tmp_path / name, 3), list(read_mel_blocks(tmp_path / name, 3))
        assert mel.dtype == torch.float32
        assert torch.equal(mel, torch.from_numpy(array).reshape(3, -1).float())
        assert torch.equal(torch.cat([torch.empty(3, 0), *blocks], dim=1), mel)
        assert all(0 < block.shape[1] <= BLOCK_FRAMES for block in blocks)
        assert count_frames(tmp_path / name, 3) == mel.shape[1]


def test_an_old_pt_file_is_read_too(tmp_path):
    """As PyTorch wrote them before 1.6."""
    torch.save(torch.from_numpy(LONG), tmp_path / "m.pt", _use_new_zipfile_serialization=False)
    expected = torch.from_numpy(LONG).float()
    assert torch.equal(read_mel(tmp_path / "m.pt", 3), expected)
    assert torch.equal(torch.cat(list(read_mel_blocks(tmp_path / "m.pt", 3)), dim=1), expected)
    assert count_frames(tmp_path / "m.pt", 3) == LONG.shape[1]


def test_a_tensor_that_was_saved_as_a_view(tmp_path):
    """Transposed, with an offset, and more in the file than in the tensor."""
    view = torch.arange(40.0).reshape(10, 4).T[1:, 2:8]
    torch.save(view, tmp_path / "m.pt")
    assert torch.equal(read_mel(tmp_path / "m.pt", 3), view)


@pytest.mark.parametrize("name", ["m.npy", "m.pt"])
def test_what_was_read_is_no_longer_the_files(tmp_path, name):
    """A mapping would show what is written later; of a file that shrinks, it ends the process."""
    path = tmp_path / name
    np.save(path, LONG) if name == "m.npy" else torch.save(torch.from_numpy(LONG).float(), path)
    mel = read_mel(path, 3)
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert torch.equal(mel, torch.from_numpy(LONG).float())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("name", ["m.npy", "m.pt"])
def test_no_more_is_read_than_is_asked_for(tmp_path, name):
    """32 MB: for the length alone next to nothing is read, and of blocks one at a time is in memory of its own."""
    path, mel = tmp_path / name, torch.zeros(128, 62500)
    np.save(path, mel.numpy()) if name == "m.npy" else torch.save(mel, path)
    del mel

    def status(file: str, key: str, unit: int = 1) -> int:
        lines = Path("/proc/self", file).read_text().splitlines()
        return unit * next(int(line.split()[1]) for line in lines if line.startswith(key))

    n_read, in_memory = status("io", "rchar"), status("status", "RssAnon", 1024)
    assert count_frames(path, 128) == 62500
    assert status("io", "rchar") - n_read < 1e6
    for block in read_mel_blocks(path, 128):
        assert block.shape[0] == 128
        assert status("status", "RssAnon", 1024) - in_memory < 8e6


def test_a_mel_that_cannot_be_written_whole_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(file, array):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_mel(tmp_path / "m.npy", torch.zeros(128, 5))
    assert list(tmp_path.iterdir()) == []
