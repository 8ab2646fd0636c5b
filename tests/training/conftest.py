"""A tiny run on real speech."""

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wavegrad.training.data import Clip, find_clips, load_corpus
from wavegrad.training.recipe import Recipe, load_recipe
from wavegrad.training.trainer import StepReport, Trainer

ROOT = Path(__file__).parents[2]
SPEECH = ROOT / "samples" / "reference"
N_CLIPS = 20
"""In the shards."""


@pytest.fixture
def recipe() -> Recipe:
    """tiny.toml, still smaller: two crops of four frames a step; on every machine in float32."""
    of_data, of_run = ["data.crop_frames=4", "data.batch_size=2"], ["run.steps=8", "run.valid_synthesis=0"]
    overrides = [*of_data, *of_run, "run.device=cpu", "run.precision=float32"]
    return load_recipe(str(ROOT / "recipes" / "tiny.toml"), overrides)


@pytest.fixture(scope="session")
def clips() -> list[Clip]:
    recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"))
    return load_corpus(find_clips(SPEECH), SPEECH, recipe.model.mel_config(), recipe.data, print)


def change(recipe: Recipe, section: str, **values: object) -> Recipe:
    """The recipe with some keys of one section replaced."""
    return replace(recipe, **{section: replace(getattr(recipe, section), **values)})


def alone(check: Callable[..., None], *arguments: object) -> None:
    """Do a check in a process of its own, forked from one that has imported PyTorch and this package."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["torch._dynamo", __name__])
    with ProcessPoolExecutor(1, context) as process:
        process.submit(check, *arguments).result()


def write_shard(path: Path, clips: dict[str, np.ndarray], rate: int = 24000) -> None:
    """A tar file of FLAC clips, as `wavegrad prepare` writes them."""
    with tarfile.open(path, "w") as tar:
        for i, (name, samples) in enumerate(clips.items()):
            audio = io.BytesIO()
            soundfile.write(audio, samples, rate, format="FLAC")
            for suffix, content in (("flac", audio.getvalue()), ("json", json.dumps({"path": name}).encode())):
                member = tarfile.TarInfo(f"{i:03d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Five shards of four clips of noise; clip i is 3000 + 100 i samples long."""
    generator = np.random.default_rng(0)
    clips = {f"clip{i}": 0.1 * generator.standard_normal(3000 + 100 * i) for i in range(N_CLIPS)}
    names = list(clips)
    folder = tmp_path / "shards"
    folder.mkdir()
    for n in range(5):
        write_shard(folder / f"{n}.tar", {name: clips[name] for name in names[n::5]})
    return folder


@contextlib.contextmanager
def killed_before(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A run that is interrupted when it comes to a step."""
    plain = Trainer.train_step

    def killed(self: Trainer) -> StepReport:
        if self.step == step:
            raise KeyboardInterrupt
        return plain(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", killed)
        with pytest.raises(KeyboardInterrupt):
            yield
