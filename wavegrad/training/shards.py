"""Clips from WebDataset shards, in an endless stream that processes and their workers share out among themselves."""

import contextlib
import io
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from wavegrad.audio.io import READABLE
from wavegrad.audio.mel import MelConfig
from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.data import Clip, Crops, context_samples, gains_of, why_unusable
from wavegrad.training.recipe import DataRecipe
from wavegrad.training.world import World


def find_shards(data: Path) -> list[str]:
    """The tar files of a folder, sorted; or what a text file lists, a path or URL on each line.

    Raises:
        TrainingError: there is none.
    """
    if data.is_file():
        shards = [line.strip() for line in data.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        shards = sorted(str(path) for path in data.glob("*.tar"))
    if not shards:
        raise TrainingError(
            f"no shard (*.tar) in {data}; `wavegrad prepare CORPUS --shards N` writes them, and data.shards = false "
            "reads a folder of audio files"
        )
    return shards


def shards_of(shards: Sequence[str], seed: tuple[int, ...], epoch: int, part: int, n_parts: int) -> list[str]:
    """The shards that one of `n_parts` readers reads in an epoch, in order; together they read each shard once."""
    order = np.random.default_rng((*seed, epoch)).permutation(len(shards))
    return [shards[i] for i in order[part::n_parts]]


@dataclass(frozen=True)
class Batch:
    """What a worker hands over."""

    crops: Crops | None
    """None where a whole epoch had no usable clip."""
    complaints: tuple[str, ...]
    """What could not be read."""


class CropStream(IterableDataset[Batch]):
    """Batches without end. A reader is one worker of one process; in each epoch it reads shards of its own.

    Args:
        shards: paths or URLs.
        mel: the front-end.
        recipe: crops, gain, shuffling.
        seed: order, crops and gains are functions of it, of the reader and of the number of readers.
        world: this process.
        n_crops: crops of a batch.
    """

    def __init__(
        self,
        shards: Sequence[str],
        mel: MelConfig,
        recipe: DataRecipe,
        seed: tuple[int, ...],
        world: World,
        n_crops: int,
    ):
        self.shards = list(shards)
        self.mel = mel
        self.recipe = recipe
        self.seed = seed
        self.world = world
        self.n_crops = n_crops

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        worker, n_workers = (info.id, info.num_workers) if info is not None else (0, 1)
        reader, n_readers = self.world.rank * n_workers + worker, self.world.size * n_workers
        rng = np.random.default_rng((*self.seed, reader, n_readers))
        complaints: list[str] = []
        crops: list[tuple[str, np.ndarray, int]] = []
        for epoch in itertools.count():
            n_clips = 0
            for clip in self.clips(epoch, reader, n_readers, complaints.append):
                n_clips += 1
                crops += [self._crop(clip, rng) for _ in range(self.recipe.crops_per_clip)]
                while len(crops) >= self.n_crops:
                    yield Batch(self._collate(crops[: self.n_crops], rng), tuple(complaints))
                    del crops[: self.n_crops]
                    complaints.clear()
            if not n_clips:
                yield Batch(None, tuple(complaints))
                return

    def clips(self, epoch: int, reader: int, n_readers: int, complain: Callable[[str], None]) -> Iterator[Clip]:
        """The usable clips of a reader's shards, each once, shuffled in a buffer of `recipe.shuffle_clips`."""
        from webdataset import shuffle

        def samples() -> Iterator[dict[str, Any]]:
            for shard in shards_of(self.shards, self.seed, epoch, reader, n_readers):
                yield from _samples_of(shard, complain)

        buffer, rng = self.recipe.shuffle_clips, random.Random(repr((self.seed, epoch, reader)))
        for sample in shuffle(buffer, initial=buffer, rng=rng)(samples()):
            clip = self._read(sample)
            if isinstance(clip, str):
                complain(clip)
            else:
                yield clip

    def _read(self, sample: dict[str, Any]) -> Clip | str:
        """The clip of a sample, or why there is none."""
        name = sample["__key__"]
        try:
            name = json.loads(sample.get("json", b"{}")).get("path", name)
            audio = next(value for key, value in sample.items() if f".{key}" in READABLE)
            channels, rate = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
        except (StopIteration, ValueError, soundfile.LibsndfileError) as error:
            return f"skipped {name} of {sample['__url__']}: no readable audio ({_one_line(error)})"
        waveform = torch.from_numpy(channels.mean(axis=1))
        if rate != self.mel.sample_rate:
            return (
                f"skipped {name} of {sample['__url__']}: {rate} Hz, but the mel is of {self.mel.sample_rate} Hz; write "
                "the shards again at that rate"
            )
        why = why_unusable(waveform, rate, self.recipe)
        if why is not None:
            return f"skipped {name}: {why}"
        return Clip(name, (waveform.clamp(-1, 1) * 32767).round().to(torch.int16))

    def _crop(self, clip: Clip, rng: np.random.Generator) -> tuple[str, np.ndarray, int]:
        """Name, window and number of counting samples of a crop whose start is uniform."""
        hop, n_frames, context = self.mel.hop_length, self.recipe.crop_frames, context_samples(self.mel)
        start = int(rng.integers(max(1, len(clip.pcm) // hop - n_frames + 1))) * hop
        window = np.zeros(n_frames * hop + 2 * context, dtype=np.int16)
        first, last = max(0, start - context), min(len(clip.pcm), start + n_frames * hop + context)
        at = first - (start - context)
        window[at : at + last - first] = clip.pcm[first:last].numpy()
        return clip.name, window, min(len(clip.pcm) - start, n_frames * hop)

    def _collate(self, crops: Sequence[tuple[str, np.ndarray, int]], rng: np.random.Generator) -> Crops:
        names, windows, counted = zip(*crops, strict=True)
        batch = torch.from_numpy(np.stack(windows)).float() / 32767
        gains = gains_of(batch, rng.uniform(*self.recipe.gain_db, size=len(names)))
        positions = torch.arange(self.recipe.crop_frames * self.mel.hop_length)
        return Crops(tuple(names), batch, positions < torch.tensor(counted)[:, None], gains)


class ShardSampler:
    """Crops of shards, for a trainer: those of the next step each time, whatever the step.

    The stream is a function of the seed and of the step at which it begins, so a resumed run begins an epoch anew. The
    loss of a step is the mean of its parts' means: what the other processes count is not known here.

    Args:
        shards: paths or URLs.
        mel: the front-end.
        recipe: of the data.
        seed: of the run.
        workers: processes that read and decode, for each process that trains; 0: none.
        world: this process.
        say: where complaints go, each one once.

    Raises:
        ConfigError: there are fewer shards than readers.
    """

    def __init__(
        self,
        shards: Sequence[str],
        mel: MelConfig,
        recipe: DataRecipe,
        seed: int,
        workers: int,
        world: World,
        say: Callable[[str], None],
    ):
        n_readers = world.size * max(1, workers)
        if len(shards) < n_readers:
            raise ConfigError(
                f"{len(shards)} shards are too few for {world.size} processes of {max(1, workers)} workers; write "
                f"{n_readers} or more, or lower run.workers"
            )
        self.shards = list(shards)
        self.mel = mel
        self.recipe = recipe
        self.seed = seed
        self.workers = workers
        self.world = world
        self._say = say
        self._said: set[str] = set()
        self._batches: Iterator[Batch] | None = None

    def draw(self, step: int, part: int, n_parts: int) -> Crops:
        """The next crops of this process.

        Raises:
            TrainingError: an epoch had no usable clip.
        """
        if self._batches is None:
            n_crops = (part + 1) * self.recipe.batch_size // n_parts - part * self.recipe.batch_size // n_parts
            stream = CropStream(self.shards, self.mel, self.recipe, (self.seed, step), self.world, n_crops)
            self._batches = iter(DataLoader(stream, batch_size=None, num_workers=self.workers, collate_fn=_as_it_is))
        batch = next(self._batches)
        for complaint in set(batch.complaints) - self._said:
            self._say(complaint)
            self._said.add(complaint)
        if batch.crops is None:
            raise TrainingError("no usable clip in the shards of a worker; the lines above say why each was skipped")
        return batch.crops.with_share(1 / n_parts)


def _samples_of(shard: str, complain: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """The members of one tar file by sample; where it is damaged, those before the damage."""
    from webdataset.gopen import gopen
    from webdataset.tariterators import group_by_keys, tar_file_expander

    damages: list[str] = []

    def note(error: Exception) -> bool:
        damages.append(_one_line(error.args[0] if error.args else type(error).__name__))
        return True

    try:
        with contextlib.closing(gopen(shard)) as stream:
            files = tar_file_expander([{"url": shard, "stream": stream}], handler=note)
            yield from group_by_keys(files, handler=note)
    except OSError as error:
        damages.append(_one_line(error))
    if damages:
        complain(f"shard {shard} is damaged, what is left of it is skipped: {damages[0]}")


def _as_it_is(batch: Any) -> Any:
    return batch


def _one_line(error: object) -> str:
    return " ".join(str(error).split())
