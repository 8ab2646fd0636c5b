"""Crops of shards for a trainer, which can go on where a checkpoint was taken."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader

from wavegrad.audio.mel import MelConfig
from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.crop_stream import Batch, CropStream, Position, Turn
from wavegrad.training.data import Crops
from wavegrad.training.recipe import DataRecipe
from wavegrad.training.shards import fingerprint, what_changed
from wavegrad.training.world import World

DEALT = 2
"""How `shares_of` deals out the shards; a place says it, so that it is not taken for one of another version."""


class ShardSampler:
    """Those of the next step each time, whatever the step.

    The stream is a function of the seed and of the step at which it begins. A resumed run goes on in it with the crop
    that comes next, if it has the shards, processes and workers of the run before; else it begins a new epoch. The
    loss of a step is the mean of its parts' means: what the other processes count is not known here.

    Args:
        shards: paths or URLs.
        mel: the front-end.
        recipe: of the data.
        seed: of the run.
        workers: processes that read and decode, for each process that trains; 0: none.
        world: this process.
        say: where complaints go, each one once; every process has its own.

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
        self.fingerprints = [fingerprint(shard) for shard in self.shards]
        self._say = say
        self._said: set[str] = set()
        self._batches: Iterator[Batch] | None = None
        self._begun: int | None = None
        self._turn = Turn((Position(),) * max(1, workers))
        self._turns: dict[int, Turn] = {}  # before each step: one that was not finite is found out about later

    def draw(self, step: int, part: int, n_parts: int) -> Crops:
        """The next crops of this process.

        Raises:
            TrainingError: an epoch had no usable clip.
        """
        if self._batches is None:
            self._begun = step if self._begun is None else self._begun
            n_crops = (part + 1) * self.recipe.batch_size // n_parts - part * self.recipe.batch_size // n_parts
            seed = (self.seed, self._begun)
            stream = CropStream(self.shards, self.mel, self.recipe, seed, self.world, n_crops, self._turn)
            self._batches = iter(DataLoader(stream, batch_size=None, num_workers=self.workers, collate_fn=_as_it_is))
            self._turns[step] = self._turn
        batch = next(self._batches)
        for complaint in set(batch.complaints) - self._said:
            self._say(f"rank {self.world.rank}: {complaint}" if self.world.size > 1 else complaint)
            self._said.add(complaint)
        if batch.crops is None:
            raise TrainingError("no usable clip in the shards of a worker; the lines above say why each was skipped")
        self._turn = self._turns[step + 1] = self._turn.after(batch.position)
        return batch.crops.with_share(1 / n_parts)

    def place(self, step: int, device: torch.device) -> dict[str, Any] | None:
        """Where all processes were before a step, for `go_on`; all must ask. Of the steps before it, it forgets.

        None where that is not known: nothing was drawn, or the place of a later step has been asked for.
        """
        self._turns = {known: turn for known, turn in self._turns.items() if known >= step}
        if step not in self._turns:
            return None
        positions, worker = self._turns[step]
        everywhere = self.world.gather(torch.tensor(positions, device=device).flatten())
        return {
            "begun": self._begun,
            "dealt": DEALT,
            "shards": self.fingerprints,
            "worker": worker,
            "positions": everywhere.reshape(self.world.size, *torch.tensor(positions).shape).cpu(),
        }

    def go_on(self, place: dict[str, Any] | None, step: int) -> None:
        """Begin where `place` was, before `step`; where that cannot be, with a new epoch, and say so."""
        self._batches, self._begun, self._turns = None, None, {}
        self._turn = Turn((Position(),) * max(1, self.workers))
        why = self._mismatch(place)
        if why is not None:
            self.world.of_first(self._say)(f"the shards begin a new epoch: {why}")
        elif place is not None:
            mine = place["positions"][self.world.rank].tolist()
            self._begun, self._turn = place["begun"], Turn(tuple(Position(*p) for p in mine), place["worker"])
            self._turns[step] = self._turn

    def _mismatch(self, place: dict[str, Any] | None) -> str | None:
        if place is None:
            return "the checkpoint does not say how far they were read"
        changed = what_changed(place["shards"], self.fingerprints)
        if changed is not None:
            return changed
        if place.get("dealt") != DEALT:
            return "the checkpoint is of a version that dealt them out in another way"
        before, now = tuple(place["positions"].shape[:2]), (self.world.size, max(1, self.workers))
        if before != now:
            return f"the checkpoint is of {_in_words(before)}, this run of {_in_words(now)}"
        return None


def _in_words(shape: tuple[int, int]) -> str:
    return f"{shape[0]} processes of {shape[1]} workers"


def _as_it_is(batch: Any) -> Any:
    return batch
