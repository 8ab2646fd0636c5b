"""The training and the validation clips of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavegrad.errors import ConfigError, TrainingError
from wavegrad.training.data import Clip, find_clips, fingerprint, hold_out, load_corpus
from wavegrad.training.recipe import Recipe
from wavegrad.training.shard_sampler import ShardSampler
from wavegrad.training.shards import find_shards
from wavegrad.training.world import World


@dataclass(frozen=True)
class Corpora:
    """Disjoint clips."""

    train: list[Clip] | ShardSampler
    valid: list[Clip]

    def fingerprints(self) -> dict[str, str]:
        """Of the clips by their split; a sampler of shards keeps those of its shards itself."""
        splits = {"train": self.train, "valid": self.valid}
        return {name: fingerprint(clips) for name, clips in splits.items() if isinstance(clips, list)}

    def facts(self) -> dict[str, str]:
        """What all processes of a world must have in common."""
        shards = {"set of shards": repr(self.train.fingerprints)} if isinstance(self.train, ShardSampler) else {}
        return shards | {f"set of {split} clips": found for split, found in self.fingerprints().items()}


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

    `mels` is a folder of mels for all clips, by their names below `data` or `valid`. The first process of a world says
    what it reads; each one names what it cannot read of its shards.

    Raises:
        TrainingError: a folder is missing or has no usable clip.
        ConfigError: with shards, no folder of validation clips, or a folder of mels.
    """
    world = world or World()
    mel, tell = recipe.model.mel_config(), world.of_first(say)
    if recipe.data.shards:
        if valid is None or mels is not None:
            raise ConfigError(
                "data.shards: nothing is held out of shards, and they bring no mels; pass --valid DIR only"
            )
        shards, run = find_shards(data), recipe.run
        tell(f"{len(shards)} shards to train on")
        return Corpora(
            ShardSampler(shards, mel, recipe.data, run.seed, run.workers, world, say),
            load_corpus(_audio_files(valid), valid, mel, recipe.data, tell),
        )
    if mels is not None and not mels.is_dir():
        raise TrainingError(f"{mels} is not a folder; pass the folder that holds the mels")
    paths = _audio_files(data)
    if valid is None:
        paths, valid_paths = hold_out(paths, data, recipe.data.valid_clips)
        valid = data
    else:
        valid_paths = _audio_files(valid)
        validates = {path.resolve() for path in valid_paths}
        paths = [path for path in paths if path.resolve() not in validates]
        if not paths:
            raise TrainingError(f"all audio files of {data} are in {valid} too; nothing is left to train on")
    clips = load_corpus(paths, data, mel, recipe.data, tell, mels)
    corpora = Corpora(clips, load_corpus(valid_paths, valid, mel, recipe.data, tell, mels))
    if mels is not None and recipe.data.gain_db != (0.0, 0.0):
        tell("random gain is off: the mels given have the level of the recordings")
    hours = sum(len(c.pcm) for c in clips) / mel.sample_rate / 3600
    tell(f"{len(clips)} clips, {hours:.2f} h to train on; {len(corpora.valid)} clips to validate on")
    return corpora


def _audio_files(folder: Path) -> list[Path]:
    """Those below it; TrainingError where there is none."""
    paths = find_clips(folder)
    if not paths:
        hint = "; it holds shards: set data.shards = true" if any(folder.glob("*.tar")) else ""
        raise TrainingError(
            f"no audio file in {folder}; WAV, FLAC, OGG, MP3 and what else libsndfile reads is found at any depth{hint}"
        )
    return paths
