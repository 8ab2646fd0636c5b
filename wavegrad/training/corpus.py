"""The training and the validation clips of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.data import Clip, find_clips, hold_out, load_corpus
from wavegrad.training.recipe import Recipe
from wavegrad.training.shard_sampler import ShardSampler
from wavegrad.training.shards import find_shards
from wavegrad.training.world import World


@dataclass(frozen=True)
class Corpora:
    """Disjoint clips."""

    train: list[Clip] | ShardSampler
    valid: list[Clip]


def load_corpora(
    recipe: Recipe,
    data: Path,
    valid: Path | None,
    say: Callable[[str], None],
    mels: Path | None = None,
    world: World | None = None,
) -> Corpora:
    """Read both, or open the shards to train on.

    Without a folder of validation clips, some of `data` are held out by a hash of their names.

    `mels` is a folder of mels for all clips, by their names below `data` or `valid`.

    Raises:
        TrainingError: a folder is missing or has no usable clip.
        ConfigError: with shards, no folder of validation clips, or a folder of mels.
    """
    mel = recipe.model.mel_config()
    if recipe.data.shards:
        if valid is None or mels is not None:
            raise ConfigError(
                "data.shards: nothing is held out of shards, and they bring no mels; pass --valid DIR only"
            )
        shards, run = find_shards(data), recipe.run
        say(f"{len(shards)} shards to train on")
        return Corpora(
            ShardSampler(shards, mel, recipe.data, run.seed, run.workers, world or World(), say),
            load_corpus(find_clips(valid), valid, mel, recipe.data, say),
        )
    paths = find_clips(data)
    if not paths:
        raise TrainingError(
            f"no audio file in {data}; WAV, FLAC, OGG, MP3 and what else libsndfile reads is found at any depth"
        )
    if valid is None:
        paths, valid_paths = hold_out(paths, data, recipe.data.valid_clips)
        valid = data
    else:
        valid_paths = find_clips(valid)
        paths = [p for p in paths if p not in set(valid_paths)]
    clips = load_corpus(paths, data, mel, recipe.data, say, mels)
    corpora = Corpora(clips, load_corpus(valid_paths, valid, mel, recipe.data, say, mels))
    if mels is not None and recipe.data.gain_db != (0.0, 0.0):
        say("random gain is off: the mels given have the level of the recordings")
    hours = sum(len(c.pcm) for c in clips) / mel.sample_rate / 3600
    say(f"{len(clips)} clips, {hours:.2f} h to train on; {len(corpora.valid)} clips to validate on")
    return corpora
