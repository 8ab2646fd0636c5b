"""What training promises of a GPU."""

import pytest
import torch

from tests.training.conftest import change
from wavegrad.training.benchmark import SWITCHES
from wavegrad.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("corpus_on_device", [True, False])
@pytest.mark.parametrize("compiled", [True, False])
def test_the_host_never_waits_inside_a_step(recipe, clips, compiled, corpus_on_device):
    """PyTorch raises on every synchronising call while the debug mode is on."""
    options = {"device": "cuda", "compile": compiled, "corpus_on_device": corpus_on_device, "whole_mels": compiled}
    trainer = Trainer(change(recipe, "run", **options), clips)
    for _ in range(3):  # compilation, the optimiser's state, cuDNN's choices
        trainer.train_step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        report = trainer.train_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert report.loss.isfinite()


@pytest.mark.timeout(600)
def test_all_options_on_learn_what_all_options_off_do(recipe, clips):
    """200 seeded steps; bfloat16 has 8 bits: the means over 20 steps stay within 5 % of each other."""
    recipe = change(change(recipe, "data", batch_size=8), "run", device="cuda", steps=200)
    curves = []
    for options in ({key: values[i] for key, values in SWITCHES.items()} for i in (0, 1)):
        trainer = Trainer(change(recipe, "run", **options), clips)
        losses = torch.stack([trainer.train_step().loss for _ in range(200)])
        curves.append(losses.cpu().unflatten(0, (10, 20)).mean(1))
    torch.testing.assert_close(curves[1], curves[0], rtol=0.05, atol=0)
