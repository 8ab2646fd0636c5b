"""Shards: every clip of a split once, the same bytes each time."""

import hashlib
import json
import tarfile

import pytest

from tests.corpora.test_prepare import quiet, record
from wavegrad.corpora import CORPORA, PrepareConfig, prepare, shards
from wavegrad.corpora.shards import write_shards
from wavegrad.errors import ConfigError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Seven short clips of two speakers."""
    root = tmp_path_factory.mktemp("corpus")
    for i in range(7):
        record(root / "in" / "ab"[i % 2] / f"{i}.wav", 8000, seconds=0.3 + 0.01 * i)
    return root / "out", prepare(CORPORA["folder"].find(root / "in"), root / "out", PrepareConfig(8000), quiet)


def members(path):
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}


def test_every_clip_is_in_one_shard_with_its_audio_and_facts(prepared, tmp_path):
    folder, clips = prepared
    shards = write_shards(clips, folder, tmp_path / "shards", 3)
    assert [p.name for p in shards] == ["00000.tar", "00001.tar", "00002.tar"]
    contents = [members(path) for path in shards]
    assert sorted(len(c) for c in contents) == [4, 4, 6]  # two members a clip
    found = {}
    for content in contents:
        for name in (n for n in content if n.endswith(".json")):
            facts = json.loads(content[name])
            found[facts["path"]] = (facts["speaker"], facts["seconds"], content[name.replace(".json", ".flac")])
    assert found == {c.path: (c.speaker, c.seconds, (folder / c.path).read_bytes()) for c in clips}


def test_a_second_call_writes_the_same_bytes_and_fewer_shards_leave_none_behind(prepared, tmp_path):
    folder, clips = prepared

    def sums(paths):
        return [hashlib.sha256(p.read_bytes()).hexdigest() for p in paths]

    first = sums(write_shards(clips, folder, tmp_path, 3))
    assert sums(write_shards(clips, folder, tmp_path, 3)) == first
    write_shards(clips, folder, tmp_path, 2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["00000.tar", "00001.tar"]


def test_a_call_that_is_killed_leaves_those_of_the_call_before(prepared, tmp_path, monkeypatch):
    """Some of two shards beside some of three had clips twice, and others not at all."""
    folder, clips = prepared
    before = {p.name: p.read_bytes() for p in write_shards(clips, folder, tmp_path, 3)}
    plain, n_left = shards._add, iter(range(9))

    def add(*arguments):
        if next(n_left, None) is None:
            raise KeyboardInterrupt
        plain(*arguments)

    monkeypatch.setattr(shards, "_add", add)
    with pytest.raises(KeyboardInterrupt):
        write_shards(clips, folder, tmp_path, 2)
    monkeypatch.undo()
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.tar")} == before
    write_shards(clips, folder, tmp_path, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["00000.tar"]


def test_more_shards_than_clips_are_refused(prepared, tmp_path):
    with pytest.raises(ConfigError, match="8 shards of 7 clips cannot be written"):
        write_shards(prepared[1], prepared[0], tmp_path, 8)
