"""Crops from shards, in an endless stream that processes and their workers share out among themselves."""

import io
import itertools
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from torch.utils.data import IterableDataset, get_worker_info

from wavegrad.audio.mel import MelConfig
from wavegrad.suffixes import AUDIO
from wavegrad.training.data import Clip, Crops, context_samples, gains_of, why_unusable
from wavegrad.training.recipe import DataRecipe
from wavegrad.training.shards import one_line, samples_of, shares_of
from wavegrad.training.world import World


class Position(NamedTuple):
    """Where a reader is: the crop that comes next."""

    epoch: int = 0
    clip: int = 0
    """Clips of the epoch that are done with, in the order of the reader, unusable ones too."""
    crop: int = 0
    """Crops of the next clip that are done with."""


class Turn(NamedTuple):
    """Where the workers of a process are, and which of them hands over the next batch."""

    positions: tuple[Position, ...]
    worker: int = 0

    def after(self, position: Position) -> "Turn":
        """With the worker whose turn it was at that position."""
        before, after = self.positions[: self.worker], self.positions[self.worker + 1 :]
        return Turn((*before, position, *after), (self.worker + 1) % len(self.positions))


@dataclass(frozen=True)
class Batch:
    """What a worker hands over."""

    crops: Crops | None
    """None where a whole epoch had no usable clip."""
    position: Position
    """Of the worker, after these crops."""
    complaints: tuple[str, ...]
    """What could not be read."""


class _Crop(NamedTuple):
    name: str
    window: np.ndarray
    n_counted: int
    gain_db: float
    after: Position


class CropStream(IterableDataset[Batch]):
    """Batches without end. A reader is one worker of one process; each epoch it has its `shares_of` the samples.

    Args:
        shards: paths or URLs.
        mel: the front-end.
        recipe: crops, gain, shuffling.
        seed: order, crops and gains are functions of it, of the reader, of the number of readers and of the position.
        world: this process.
        n_crops: crops of a batch.
        turn: where to begin; left out, at the beginning.
    """

    def __init__(
        self,
        shards: Sequence[str],
        mel: MelConfig,
        recipe: DataRecipe,
        seed: tuple[int, ...],
        world: World,
        n_crops: int,
        turn: Turn | None = None,
    ):
        self.shards = list(shards)
        self.mel = mel
        self.recipe = recipe
        self.seed = seed
        self.world = world
        self.n_crops = n_crops
        self.turn = turn

    def __iter__(self) -> Iterator[Batch]:
        info = get_worker_info()
        n_workers = info.num_workers if info is not None else 1
        turn = self.turn or Turn((Position(),) * n_workers)
        # the loader asks its first worker first, which therefore is the one whose turn it is
        worker = ((info.id if info is not None else 0) + turn.worker) % n_workers
        reader, n_readers = self.world.rank * n_workers + worker, self.world.size * n_workers
        position, complaints = turn.positions[worker], list[str]()
        crops = self._crops(position, reader, n_readers, complaints.append)
        while chosen := list(itertools.islice(crops, self.n_crops)):
            if len(chosen) < self.n_crops:
                break
            position = chosen[-1].after
            yield Batch(self._collate(chosen), position, tuple(complaints))
            complaints.clear()
        yield Batch(None, position, tuple(complaints))

    def clips(
        self, epoch: int, reader: int, n_readers: int, complain: Callable[[str], None], n_passed: int = 0
    ) -> Iterator[tuple[int, Clip]]:
        """The usable clips of a reader's shards, each once, shuffled in a buffer of `recipe.shuffle_clips`, with their
        numbers in that order; the first `n_passed` are passed over, and not decoded."""
        from webdataset import shuffle

        def samples() -> Iterator[dict[str, Any]]:
            for shard, parts in shares_of(self.shards, self.seed, epoch, reader, n_readers):
                for number, sample in enumerate(samples_of(shard, complain)):
                    if number % n_readers in parts:
                        yield sample

        buffer, rng = self.recipe.shuffle_clips, random.Random(repr((self.seed, epoch, reader)))
        shuffled = enumerate(shuffle(buffer, initial=buffer, rng=rng)(samples()))
        for number, sample in itertools.islice(shuffled, n_passed, None):
            clip = self._read(sample)
            if isinstance(clip, str):
                complain(clip)
            else:
                yield number, clip

    def _crops(self, start: Position, reader: int, n_readers: int, complain: Callable[[str], None]) -> Iterator[_Crop]:
        """From a position on; the end is an epoch without a usable clip."""
        n_crops = self.recipe.crops_per_clip
        for epoch in itertools.count(start.epoch):
            n_clips = 0
            for number, clip in self.clips(epoch, reader, n_readers, complain, start.clip):
                n_clips += 1
                for i in range(start.crop if number == start.clip else 0, n_crops):
                    rng = np.random.default_rng((*self.seed, n_readers, reader, epoch, number, i))
                    after = Position(epoch, number, i + 1) if i + 1 < n_crops else Position(epoch, number + 1)
                    yield self._crop(clip, rng, after)
            if not n_clips and not start.clip:
                return
            start = Position(epoch + 1)

    def _read(self, sample: dict[str, Any]) -> Clip | str:
        """The clip of a sample, or why there is none."""
        name = sample["__key__"]
        try:
            name = json.loads(sample.get("json", b"{}")).get("path", name)
            audio = next(value for key, value in sample.items() if f".{key}" in AUDIO)
            channels, rate = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
        except (StopIteration, ValueError, soundfile.LibsndfileError) as error:
            return f"skipped {name} of {sample['__url__']}: no readable audio ({one_line(error)})"
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

    def _crop(self, clip: Clip, rng: np.random.Generator, after: Position) -> _Crop:
        """Its start is uniform."""
        hop, n_frames, context = self.mel.hop_length, self.recipe.crop_frames, context_samples(self.mel)
        start = int(rng.integers(max(1, len(clip.pcm) // hop - n_frames + 1))) * hop
        window = np.zeros(n_frames * hop + 2 * context, dtype=np.int16)
        first, last = max(0, start - context), min(len(clip.pcm), start + n_frames * hop + context)
        at = first - (start - context)
        window[at : at + last - first] = clip.pcm[first:last].numpy()
        n_counted = min(len(clip.pcm) - start, n_frames * hop)
        return _Crop(clip.name, window, n_counted, rng.uniform(*self.recipe.gain_db), after)

    def _collate(self, crops: Sequence[_Crop]) -> Crops:
        batch = torch.from_numpy(np.stack([crop.window for crop in crops])).float() / 32767
        gains = gains_of(batch, np.array([crop.gain_db for crop in crops]))
        counted = torch.tensor([crop.n_counted for crop in crops])
        samples = torch.arange(self.recipe.crop_frames * self.mel.hop_length)
        return Crops(tuple(crop.name for crop in crops), batch, samples < counted[:, None], gains)
