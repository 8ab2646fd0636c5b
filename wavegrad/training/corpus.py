"""The training and the validation clips of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wavegrad.errors import TrainingError
from wavegrad.training.data import Clip, find_clips, hold_out, load_corpus
from wavegrad.training.recipe import Recipe


@dataclass(frozen=True)
class Corpora:
    """Disjoint clips."""

    train: list[Clip]
    valid: list[Clip]


def load_corpora(
    recipe: Recipe, data: Path, valid: Path | None, say: Callable[[str], None], mels: Path | None = None
) -> Corpora:
    """Read both; without a folder of validation clips, some of `data` are held out by a hash of their names.

    `mels` is a folder of mels for all clips, by their names below `data` or `valid`.

    Raises:
        TrainingError: a folder is missing or has no usable clip.
    """
    mel = recipe.model.mel_config()
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
    corpora = Corpora(
        load_corpus(paths, data, mel, recipe.data, say, mels),
        load_corpus(valid_paths, valid, mel, recipe.data, say, mels),
    )
    if mels is not None and recipe.data.gain_db != (0.0, 0.0):
        say("random gain is off: the mels given have the level of the recordings")
    hours = sum(len(c.pcm) for c in corpora.train) / mel.sample_rate / 3600
    say(f"{len(corpora.train)} clips, {hours:.2f} h to train on; {len(corpora.valid)} clips to validate on")
    return corpora
