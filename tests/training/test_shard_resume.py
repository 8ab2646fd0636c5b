"""A run on shards that was stopped goes on with the crop that comes next, as if it had never stopped."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.conftest import N_CLIPS, ROOT, SPEECH, change, killed_before
from tests.training.test_loop import same
from tests.training.test_world import launch
from wavegrad.errors import TrainingError
from wavegrad.training.crop_stream import CropStream
from wavegrad.training.data import Crops
from wavegrad.training.loop import train
from wavegrad.training.recipe import Recipe
from wavegrad.training.shard_sampler import ShardSampler
from wavegrad.training.shards import find_shards, shares_of
from wavegrad.training.state import load_newest, load_state, save_state
from wavegrad.training.trainer import Trainer
from wavegrad.training.world import World

CPU = torch.device("cpu")


class Together(World):
    """A world whose other ranks say what this one does."""

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        return x.repeat(self.size)


def sampler(
    recipe: Recipe, shards: Path, workers: int = 0, world: World | None = None, say: Callable[[str], None] = print
) -> ShardSampler:
    mel, data = recipe.model.mel_config(), recipe.data
    return ShardSampler(find_shards(shards), mel, data, 0, workers, world or World(), say)


def drawn(source: ShardSampler, steps: range, n_parts: int = 1) -> list[Crops]:
    """All micro-batches of some steps."""
    return [source.draw(step, part, n_parts) for step in steps for part in range(n_parts)]


def assert_same_crops(found: list[Crops], expected: list[Crops]) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert (a.names, a.share) == (b.names, b.share)
        assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in ("windows", "mask", "gains"))


@pytest.fixture
def data(recipe: Recipe) -> Recipe:
    """Three crops a clip and four a batch, so that batches end within clips; five batches an epoch of one reader."""
    return change(recipe, "data", crops_per_clip=3, batch_size=4, shuffle_clips=7)


@pytest.mark.parametrize("n_parts", [1, 2])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(data: Recipe, shards: Path, n_parts: int) -> None:
    """Over the end of an epoch (15 steps), with a stop after each step; and stopped twice."""
    expected = drawn(sampler(data, shards), range(20), n_parts)
    assert len({(crops.names, crops.gains.sum().item()) for crops in expected}) == 20 * n_parts  # no two are alike
    source, n_done = sampler(data, shards), 0
    for stop in (1, 2, 3, 5, 7, 12, 14, 15, 16, 20):
        assert_same_crops(drawn(source, range(n_done, stop), n_parts), expected[n_done * n_parts : stop * n_parts])
        place = source.place(stop, CPU)
        source, n_done = sampler(data, shards), stop
        source.go_on(place, stop)
        assert same(source.place(stop, CPU), place)  # saved again before anything is drawn


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rank", [0, 1])
def test_two_ranks_of_two_real_workers(data: Recipe, shards: Path, rank: int) -> None:
    """Workers read ahead: what counts is what was drawn. After an odd number of batches the second worker is next."""
    world = Together(rank, 2)
    uninterrupted = sampler(data, shards, 2, world)
    expected = drawn(uninterrupted, range(12))
    for stop in (3, 8):
        first = sampler(data, shards, 2, world)
        assert_same_crops(drawn(first, range(stop)), expected[:stop])
        place = first.place(stop, CPU)
        assert place is not None
        assert place["positions"].shape == (2, 2, 3)
        assert place["worker"] == stop % 2
        place["positions"][1 - rank] = -1  # of no concern here
        second = sampler(data, shards, 2, world)
        second.go_on(place, stop)
        assert_same_crops(drawn(second, range(stop, 12)), expected[stop:])


def test_every_clip_comes_once_an_epoch_over_a_stop(recipe: Recipe, shards: Path) -> None:
    source, names = sampler(recipe, shards), []
    for step in range(N_CLIPS // 2):
        names += source.draw(step, 0, 1).names
        place, source = source.place(step + 1, CPU), sampler(recipe, shards)
        source.go_on(place, step + 1)
    assert sorted(names) == sorted(f"clip{i}" for i in range(N_CLIPS))


def test_damage_and_unusable_clips_before_the_stop_count(data: Recipe, shards: Path) -> None:
    """A shard cut off in its third clip; one clip that is no audio; the damage is told again, for a new log."""
    content = (shards / "0.tar").read_bytes()
    (shards / "0.tar").write_bytes(content[: len(content) // 2])
    (shards / "2.tar").write_bytes((shards / "2.tar").read_bytes().replace(b"fLaC", b"oops", 1))
    expected = drawn(sampler(data, shards, say=[].append), range(20))
    for stop in (4, 9, 12):
        first = sampler(data, shards, say=[].append)
        drawn(first, range(stop))
        said: list[str] = []
        second = sampler(data, shards, say=said.append)
        second.go_on(first.place(stop, CPU), stop)
        assert_same_crops(drawn(second, range(stop, 20)), expected[stop:])
        assert sum("is damaged" in line for line in said) == 1


def test_clips_that_are_passed_over_are_not_decoded(
    recipe: Recipe, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sampler(recipe, shards)
    drawn(first, range(8))  # 16 of 20 clips
    second, n_decoded, plain = sampler(recipe, shards), [], CropStream._read
    monkeypatch.setattr(CropStream, "_read", lambda *arguments: n_decoded.append(1) or plain(*arguments))
    second.go_on(first.place(8, CPU), 8)
    drawn(second, range(8, 10))
    assert len(n_decoded) == 4


def test_a_place_is_known_back_to_the_last_one_asked_for(recipe: Recipe, shards: Path) -> None:
    """A step that was not finite is found out about later; the place is that before it."""
    source = sampler(recipe, shards)
    assert source.place(0, CPU) is None
    expected = drawn(source, range(6))
    first, early, late = (source.place(step, CPU) for step in (0, 2, 5))
    assert source.place(2, CPU) is None
    for place, step in ((first, 0), (early, 2), (late, 5)):
        said: list[str] = []
        again = sampler(recipe, shards, say=said.append)
        again.go_on(place, step)
        assert not said
        assert_same_crops(drawn(again, range(step, 6)), expected[step:])


def test_where_it_cannot_go_on_an_epoch_begins_anew_and_it_is_said(recipe: Recipe, shards: Path) -> None:
    """With another number of readers or other shards; and after a checkpoint of old."""
    first = sampler(recipe, shards)
    drawn(first, range(3))
    place = first.place(3, CPU)
    assert place is not None
    for found, workers, world, why in (
        (None, 0, World(), "the checkpoint does not say how far they were read"),
        ({**place, "shards": "a sum, of old"}, 0, World(), "the checkpoint does not say what was in them"),
        ({**place, "dealt": 1}, 0, World(), "the checkpoint is of a version that dealt them out in another way"),
        ({**place, "shards": ["0.tar 5 ab"]}, 0, World(), "they are others than those of the checkpoint"),
        (place, 2, World(), "the checkpoint is of 1 processes of 1 workers, this run of 1 processes of 2 workers"),
        (
            place,
            0,
            Together(0, 2),
            "the checkpoint is of 1 processes of 1 workers, this run of 2 processes of 1 workers",
        ),
    ):
        said: list[str] = []
        second = sampler(recipe, shards, workers, world, said.append)
        second.go_on(found, 3)
        assert said == [f"the shards begin a new epoch: {why}"]
        fresh = sampler(recipe, shards, workers, world)
        assert_same_crops(drawn(second, range(3, 5)), drawn(fresh, range(3, 5)))
        assert second.place(5, CPU)["begun"] == 3


@pytest.mark.parametrize(
    ("at", "noticed"), [("front", True), ("back", True), ("size", True), ("middle", False), (None, False)]
)
def test_shards_that_changed_under_their_names_are_noticed(
    recipe: Recipe, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str | None, noticed: bool
) -> None:
    """By their size and both ends; in another folder, and younger, they are the same ones."""
    monkeypatch.setattr("wavegrad.training.shards.END", 1024)
    (shards / "3.tar").rename(shards / "no 3.tar")
    first = sampler(recipe, shards)
    drawn(first, range(3))
    place = first.place(3, CPU)
    moved = shutil.copytree(shards, tmp_path / "moved")
    content = bytearray((moved / "no 3.tar").read_bytes())
    if at == "size":
        content += bytes(512)
    elif at is not None:
        content[{"front": 600, "middle": len(content) // 2, "back": -600}[at]] ^= 1
    (moved / "no 3.tar").write_bytes(content)
    said: list[str] = []
    sampler(recipe, moved, say=said.append).go_on(place, 3)
    assert said == (["the shards begin a new epoch: no 3.tar changed since the checkpoint"] if noticed else [])


@pytest.mark.timeout(300)
def test_a_killed_run_on_shards_equals_one_in_one_piece(
    recipe: Recipe, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command, end to end, through checkpoints on the disk, with two workers and two micro-batches a step: the same
    weights, bit for bit."""
    values = {"steps": 4, "checkpoint_every": 1, "validate_every": 100, "workers": 2, "accumulate": 2}
    recipe = change(change(recipe, "run", **values), "data", shards=True, crops_per_clip=2)
    train(recipe, shards, tmp_path / "one", SPEECH, say=[].append)
    with killed_before(3, monkeypatch):
        train(recipe, shards, tmp_path / "two", SPEECH, say=[].append)
    said: list[str] = []
    train(recipe, shards, tmp_path / "two", SPEECH, say=said.append)
    assert said[1:] == ["resuming at step 3 of 4"]
    one, two = (load_newest(tmp_path / name / "checkpoints", print) for name in ("one", "two"))
    assert same(one.network, two.network)
    assert same(one.optimizer, two.optimizer)
    assert same(one.place, two.place)


def test_a_diverged_run_is_where_it_was_before_the_bad_step(recipe: Recipe, shards: Path) -> None:
    """The bad step is found out about two steps later."""
    trainer = Trainer(recipe, sampler(recipe, shards))
    expected = drawn(sampler(recipe, shards), range(6))
    trainer.train_step()
    trainer.check(trainer.train_step())
    trainer._broken += 1
    trainer.train_step()
    with pytest.raises(TrainingError, match="step 2: "):
        trainer.check(trainer.train_step())
    resumed = sampler(recipe, shards)
    Trainer(recipe, resumed).restore(trainer.state())
    assert_same_crops(drawn(resumed, range(2, 6)), expected[2:])


def test_a_checkpoint_without_a_place_resumes(recipe: Recipe, shards: Path, tmp_path: Path) -> None:
    trainer = Trainer(recipe, sampler(recipe, shards))
    trainer.train_step()
    path = save_state(replace(trainer.state(), place=None), tmp_path, keep=1)
    raw = torch.load(path, weights_only=True)
    del raw["place"]
    torch.save(raw | {"format_version": 1}, path)
    said: list[str] = []
    again = Trainer(recipe, sampler(recipe, shards, say=said.append))
    again.restore(load_state(path))
    again.train_step()
    assert said == ["the shards begin a new epoch: the checkpoint does not say how far they were read"]


KILLED_AT_5_AND_11 = """
import json, os, signal, sys
from wavegrad.cli.main import main
from wavegrad.training.shard_sampler import ShardSampler

plain, rank, start = ShardSampler.draw, os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]

def draw(self, step, part, n_parts):
    if (rank, start, step) in {("1", "0", 5), ("1", "1", 11)}:
        os.kill(os.getpid(), signal.SIGKILL)
    crops = plain(self, step, part, n_parts)
    with open(f"{os.environ['DRAWN']}/{rank}", "a") as file:
        line = [start, step, *crops.names, *crops.windows.square().sum(1).tolist(), *crops.gains.tolist()]
        file.write(json.dumps(line) + chr(10))
    return crops

ShardSampler.draw = draw
main()
"""


@pytest.mark.timeout(600)
def test_two_processes_go_on_together_after_a_kill(
    recipe: Recipe, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two real SIGKILLs, in step 5 of the first start and in step 11 of the second, the last one that is allowed.

    After the restart both draw what they would have drawn without; it used to fail where it found the addresses of the
    first start's dead processes. The second rank names the damaged shard that only it reads: that went unheard. In the
    end there is a good checkpoint.
    """
    damaged = next(shard for shard, parts in shares_of(find_shards(shards), (0, 0), 0, 1, 2) if parts == range(2))
    Path(damaged).write_bytes(Path(damaged).read_bytes()[:-20000])
    (tmp_path / "killed.py").write_text(KILLED_AT_5_AND_11)
    monkeypatch.setenv("DRAWN", str(tmp_path))
    keys = ["data.crop_frames=4", "data.batch_size=2", "data.shards=true", "run.steps=100000"]
    keys += [
        "run.checkpoint_every=2",
        "run.log_every=1",
        "run.workers=0",
        "run.valid_synthesis=0",
        "run.device=cpu",
        "run.validate_every=100000",
    ]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1", "--standalone"),
        *(str(tmp_path / "killed.py"), "train", str(ROOT / "recipes" / "tiny.toml"), "--data", str(shards)),
        *("--valid", str(SPEECH), "--run-dir", str(tmp_path / "run")),
        *(word for key in keys for word in ("--set", key)),
    ]
    code, out = launch(command, tmp_path / "out.txt")
    assert code != 0
    assert out.count("error: rank 0 of 2: another rank has gone") == 2, out
    assert out.count("the newest checkpoint is whole, and the same command goes on from it") == 2, out
    assert "Signal 9 (SIGKILL)" in out
    assert "resuming at step 4 of 100000" in out
    assert "begin a new epoch" not in out
    assert load_newest(tmp_path / "run" / "checkpoints", print).step == 10
    assert f"rank 1: shard {damaged} is damaged" in out
    for rank in range(2):
        lines = [json.loads(line) for line in (tmp_path / str(rank)).read_text().splitlines()]
        source = sampler(change(recipe, "data", shards=True), shards, 0, World(rank, 2))
        expected = {step: source.draw(step, rank, 2) for step in range(12)}
        assert {line[1] for line in lines if line[0] == "1"} >= set(range(4, 11))
        for _, step, name, energy, gain in lines:
            assert ((name,), energy, gain) == (
                expected[step].names,
                expected[step].windows.square().sum(1).item(),
                expected[step].gains.item(),
            )
