"""Reading shards: every clip once an epoch over all processes and workers, and what is damaged is named."""

import contextlib
import gzip
import itertools
import json
import sys
import tarfile

import numpy as np
import pytest
import torch

from tests.training.conftest import N_CLIPS, ROOT, SPEECH, change, write_shard
from wavegrad.cli.main import main
from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.crop_stream import CropStream
from wavegrad.training.data import context_samples
from wavegrad.training.loop import train
from wavegrad.training.shard_sampler import ShardSampler
from wavegrad.training.shards import find_shards, samples_of, shares_of
from wavegrad.training.world import World


def quiet(line: str) -> None:
    """Nobody listens."""


def stream(recipe, shards, world=World(), seed=(0, 0), n_crops=1) -> CropStream:  # noqa: B008 (a value)
    return CropStream(find_shards(shards), recipe.model.mel_config(), recipe.data, seed, world, n_crops)


@pytest.mark.parametrize("n_shards", [4, 5, 7, 8, 11])
def test_readers_share_out_the_shards_of_an_epoch(n_shards):
    """Each part of each shard has one reader, all readers have as many, and few shards have several."""
    names = [f"{i}.tar" for i in range(n_shards)]
    for epoch in range(5):
        readers = [shares_of(names, (0, 0), epoch, reader, 4) for reader in range(4)]
        parts = [[(shard, part) for shard, mine in shares for part in mine] for shares in readers]
        assert sorted(itertools.chain(*parts)) == sorted(itertools.product(names, range(4)))
        assert [len(mine) for mine in parts] == [n_shards] * 4
        assert all(mine == range(4) for shares in readers for _, mine in shares[1:-1])
        assert sum(map(len, readers)) == n_shards + (0 if n_shards % 4 == 0 else 3)
    begins = {shares_of(names, (0, 0), epoch, 0, 4)[0][1].start for epoch in range(4)}
    assert len(begins) == (1 if n_shards % 4 == 0 else 4)  # no reader has the same place each time


def test_the_order_of_the_shards_is_a_function_of_seed_and_epoch():
    names = [f"{i}.tar" for i in range(11)]
    seeds = ((0, 0), (1, 0), (0, 5))
    orders = {tuple(s for s, _ in shares_of(names, seed, epoch, 0, 1)) for seed in seeds for epoch in range(3)}
    assert len(orders) == 9
    assert shares_of(names, (0, 0), 2, 1, 4) == shares_of(names, (0, 0), 2, 1, 4)


def test_every_clip_comes_once_an_epoch_over_two_processes_of_two_workers(recipe, shards):
    for epoch in range(3):
        readers = [list(stream(recipe, shards).clips(epoch, r, 4, print)) for r in range(4)]
        names = [clip.name for clips in readers for _, clip in clips]
        assert sorted(names) == sorted(f"clip{i}" for i in range(N_CLIPS))


def test_the_clips_of_an_epoch_are_shuffled_beyond_their_shards(recipe, shards):
    orders = [[c.name for _, c in stream(recipe, shards).clips(epoch, 0, 1, print)] for epoch in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    for order in (orders[0], orders[2]):
        assert len({int(name[4:]) % 5 for name in order[:4]}) > 1  # the first four are not of one shard


@pytest.mark.timeout(300)
def test_two_processes_of_two_real_workers_end_every_epoch_together(recipe, shards):
    """Five shards for four readers: the first 20 crops are the first epoch and the next 20 the second, though no reader
    can have whole shards alone. (The fifth shard made the epochs of one reader twice as long.)"""
    names = [[], []]
    for rank in range(2):
        mel, data = recipe.model.mel_config(), change(recipe, "data", batch_size=2).data
        first, again = (ShardSampler(find_shards(shards), mel, data, 0, 2, World(rank, 2), print) for _ in range(2))
        drawn = [name for step in range(20) for name in first.draw(step, rank, 2).names]
        assert list(again.draw(0, rank, 2).names) == drawn[:1]  # a function of the seed
        for epoch in range(2):
            names[epoch] += drawn[10 * epoch : 10 * (epoch + 1)]
    for of_epoch in names:
        assert sorted(of_epoch) == sorted(f"clip{i}" for i in range(N_CLIPS))


@pytest.mark.parametrize("n_shards", [5, 7, 9])
def test_four_readers_never_drift_apart(recipe, tmp_path, n_shards):
    """Eight epochs of shards that no four readers can share out whole: each clip once an epoch, and of all epochs no
    reader has read more than the others by a clip an epoch. (One always had a shard more.)"""
    noise = 0.1 * np.random.default_rng(0).standard_normal((41, 3000))
    for n in range(n_shards):
        write_shard(tmp_path / f"{n}.tar", {f"clip{i}": noise[i] for i in range(n, 41, n_shards)})
    read = np.zeros(4, int)
    for epoch in range(8):
        readers = [[c.name for _, c in stream(recipe, tmp_path).clips(epoch, r, 4, print)] for r in range(4)]
        assert sorted(itertools.chain(*readers)) == sorted(f"clip{i}" for i in range(41))
        read += [len(names) for names in readers]
    assert read.max() - read.min() <= 8


def test_crops_are_pieces_of_their_clips_on_frame_borders(recipe, shards):
    """With context, zeros beyond the ends, and a mask of what belongs to the clip."""
    recipe = change(recipe, "data", crop_frames=11, gain_db=(0.0, 0.0), crops_per_clip=3)
    mel = recipe.model.mel_config()
    context, hop = context_samples(mel), mel.hop_length
    clips = {c.name: c.pcm for _, c in stream(recipe, shards).clips(0, 0, 1, print)}
    starts = set()
    for batch in itertools.islice(stream(recipe, shards, n_crops=7), 8):
        crops = batch.crops
        assert crops.windows.shape == (7, 11 * hop + 2 * context)
        for name, window, mask in zip(crops.names, crops.windows, crops.mask, strict=True):
            pcm, matches = torch.nn.functional.pad(clips[name], (context, 11 * hop + context)), []
            for start in range(0, max(1, len(clips[name]) - 11 * hop + 1), hop):
                expected = pcm[start : start + len(window)].float() / 32767
                if torch.equal(window, expected):
                    matches.append(start)
                    assert mask.sum() == min(11 * hop, len(clips[name]) - start)
            assert len(matches) == 1, name
            starts.add(matches[0])
        assert torch.equal(crops.gains, torch.ones(7))
    assert starts == {0, 300, 600, 900, 1200, 1500}


def test_gains_are_drawn_and_keep_full_scale(recipe, shards):
    loud = change(recipe, "data", gain_db=(60.0, 60.0))
    crops = next(iter(stream(loud, shards, n_crops=4))).crops
    peaks = (crops.windows * crops.gains[:, None]).abs().amax(1)
    torch.testing.assert_close(peaks, torch.ones(4))


def test_damaged_shards_and_clips_are_named_and_skipped(recipe, shards):
    """One cut off in its third clip, one that is no tar file, one that is gone; and a clip that is no audio."""
    whole = (shards / "0.tar").read_bytes()
    with tarfile.open(shards / "0.tar") as tar:
        third = tar.getmembers()[4]
    (shards / "0.tar").write_bytes(whole[: third.offset_data + third.size // 2])
    (shards / "1.tar").write_bytes(b"no tar file" * 1000)
    paths = [*find_shards(shards), str(shards / "gone.tar")]
    (shards / "2.tar").write_bytes((shards / "2.tar").read_bytes().replace(b"fLaC", b"oops", 1))
    said: list[str] = []
    reader = CropStream(paths, recipe.model.mel_config(), recipe.data, (0, 0), World(), 1)
    names = {clip.name for _, clip in reader.clips(0, 0, 1, said.append)}
    assert names == {"clip0", "clip5", *(f"clip{i}" for i in range(N_CLIPS) if i % 5 >= 2 and i != 2)}
    assert sum(line.startswith("skipped clip2 of ") and "no readable audio" in line for line in said) == 1
    damaged = [line.split(" is damaged")[0] for line in said if "is damaged" in line]
    assert sorted(damaged) == [f"shard {shards / name}.tar" for name in ("0", "1", "gone")]
    assert not any("\n" in line for line in said)


def test_a_shard_that_was_cut_off_anywhere_is_named(shards):
    """Also between two members, within a header, and where only the end's blocks of zeros are missing."""
    whole, cut = (shards / "3.tar").read_bytes(), shards / "cut.tar"
    with tarfile.open(shards / "3.tar") as tar:
        members = tar.getmembers()
        end = members[-1].offset_data + tarfile.BLOCKSIZE
    lengths = [n for m in members[1:] for n in (m.offset, m.offset + 100, m.offset_data, m.offset_data + m.size // 2)]
    for length in (*lengths, end):
        cut.write_bytes(whole[:length])
        said: list[str] = []
        samples = list(samples_of(str(cut), said.append))
        assert len(said) == 1, length
        assert said[0].startswith(f"shard {cut} is damaged, what is left of it is skipped: ")
        assert len(samples) <= 4
    for complete in (whole, whole[: end + 2 * tarfile.BLOCKSIZE], gzip.compress(whole)):
        cut.write_bytes(complete)
        assert len(list(samples_of(str(cut), pytest.fail))) == 4


def test_complaints_are_made_once_and_an_epoch_without_clips_ends_the_run(recipe, shards):
    mel, said = recipe.model.mel_config(), []
    (shards / "0.tar").write_bytes(b"no tar file" * 1000)
    sampler = ShardSampler(find_shards(shards), mel, recipe.data, 0, 0, World(), said.append)
    for step in range(40):
        sampler.draw(step, 0, 1)
    assert len(said) == 1, said
    for path in shards.iterdir():
        path.write_bytes(b"no tar file" * 1000)
    with pytest.raises(TrainingError, match="no usable clip in the shards"):
        ShardSampler(find_shards(shards), mel, recipe.data, 0, 0, World(), quiet).draw(0, 0, 1)


def test_clips_of_another_rate_or_too_short_are_named(recipe, tmp_path):
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    write_shard(tmp_path / "a.tar", {"fine": noise, "short": noise[:100], "silent": 0 * noise})
    write_shard(tmp_path / "b.tar", {"slow": noise}, rate=16000)
    said: list[str] = []
    assert [c.name for _, c in stream(recipe, tmp_path).clips(0, 0, 1, said.append)] == ["fine"]
    assert sorted(line.split(" ")[1].rstrip(":") for line in said) == ["short", "silent", "slow"]
    assert any("16000 Hz, but the mel is of 24000 Hz" in line for line in said)


def test_mistakes_are_one_line(recipe, shards, tmp_path):
    mel, sharded = recipe.model.mel_config(), change(recipe, "data", shards=True)
    with pytest.raises(ConfigError, match=r"5 shards are too few for 2 processes of 3 workers; write 6 or more"):
        ShardSampler(find_shards(shards), mel, recipe.data, 0, 3, World(0, 2), print)
    with pytest.raises(TrainingError, match=r"no shard \(\*\.tar\)"):
        find_shards(SPEECH)
    with pytest.raises(ConfigError, match="pass --valid DIR only"):
        train(sharded, shards, tmp_path / "run", say=quiet)
    listed = tmp_path / "list.txt"
    listed.write_text("a.tar\n\nhttp://localhost/b.tar\n")
    assert find_shards(listed) == ["a.tar", "http://localhost/b.tar"]
    assert find_shards(shards / "3.tar") == [str(shards / "3.tar")]
    packed = tmp_path / "shards.tgz"
    packed.write_bytes(gzip.compress((shards / "3.tar").read_bytes()))
    with pytest.raises(TrainingError, match=r"shards\.tgz is neither a \*\.tar nor a text that lists shards"):
        find_shards(packed)


def test_the_same_recipe_reads_prepared_shards_with_one_key_changed(tmp_path, monkeypatch, capsys):
    """The commands, end to end; a run that is taken up again goes on."""

    def wavegrad(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["wavegrad", *map(str, arguments)])
        with contextlib.suppress(SystemExit):  # a failed command writes nothing that is asserted below
            main()
        return capsys.readouterr().out

    out = tmp_path / "out"
    said = wavegrad("prepare", "folder", "--source", SPEECH, "--out", out, "--valid-share", 0, "--shards", 2)
    folders = f"--data {out / 'shards'} --valid DIR"
    assert f"2 shards\nnext: wavegrad train RECIPE {folders} --run-dir RUN --set data.shards=true" in said
    small = ["data.crop_frames=4", "data.batch_size=2", "run.valid_synthesis=0", "run.device=cpu", "run.log_every=1"]
    for folder, keys, goals in (("train", [], [1]), ("shards", ["data.shards=true"], [2, 3])):
        for steps in goals:
            sets = [w for o in (*small, *keys, "run.workers=0", f"run.steps={steps}") for w in ("--set", o)]
            run, recipe = tmp_path / f"run-{folder}", ROOT / "recipes" / "tiny.toml"
            said = wavegrad("train", recipe, "--data", out / folder, "--valid", SPEECH, "--run-dir", run, *sets)
        records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        assert [r["step"] for r in records if r["group"] == "train"] == list(range(1, goals[-1] + 1))
        assert all(r["loss"] > 0 for r in records)
    assert "resuming at step 2 of 3" in said
