"""A script: steps on a GPU, without the type checks of the tests, which torch.compile cannot see through.

python steps_on_gpu.py waits COMPILE CORPUS_ON_DEVICE REFINEMENT, or: python steps_on_gpu.py learns
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.training.conftest import ROOT, SPEECH, change
from wavegrad.training.benchmark import SWITCHES
from wavegrad.training.data import find_clips, load_corpus
from wavegrad.training.recipe import load_recipe
from wavegrad.training.trainer import Trainer

SETTINGS = ["data.crop_frames=4", "run.steps=200", "run.device=cuda", "optimizer.learning_rate=5e-4"]
"""The learning rate is that of `test_options.curve`, and for its reason."""


def trainer(batch_size: int, refinement: float = 0.0, **options: object) -> Trainer:
    """Of the tiny recipe, still smaller."""
    sets = [*SETTINGS, f"data.batch_size={batch_size}", f"refinement.weight={refinement}", "refinement.steps=[2]"]
    recipe = load_recipe(str(ROOT / "recipes" / "tiny.toml"), sets)
    clips = load_corpus(find_clips(SPEECH), SPEECH, recipe.model.mel_config(), recipe.data, print)
    return Trainer(change(recipe, "run", **options), clips)


def waits(compiled: bool, corpus_on_device: bool, refinement: bool) -> None:
    """PyTorch raises on every synchronising call while the debug mode is on."""
    made = trainer(2, 0.3 * refinement, compile=compiled, corpus_on_device=corpus_on_device, whole_mels=compiled)
    for _ in range(3):  # compilation, the optimiser's state, cuDNN's choices
        made.train_step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    report = made.train_step()
    torch.cuda.set_sync_debug_mode("default")
    assert report.loss.isfinite()


def learns() -> None:
    """200 seeded steps; bfloat16 has 8 bits: the means over 20 steps stay within 5 % of each other."""
    curves = []
    for options in ({key: values[i] for key, values in SWITCHES.items()} for i in (0, 1)):
        made = trainer(8, **options)
        losses = torch.stack([made.train_step().loss for _ in range(200)])
        curves.append(losses.cpu().unflatten(0, (10, 20)).mean(1))
    torch.testing.assert_close(curves[1], curves[0], rtol=0.05, atol=0)


if __name__ == "__main__":
    what, *flags = sys.argv[1:]
    learns() if what == "learns" else waits(*(flag == "True" for flag in flags))
    print("done")
