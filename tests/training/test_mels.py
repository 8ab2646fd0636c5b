"""Training on mels that come with the clips: what an acoustic model predicts."""

import json

import numpy as np
import pytest
import torch

from tests.training.conftest import SPEECH, change
from wavegrad.audio import MelSpectrogram
from wavegrad.audio.mel_file import write_mel
from wavegrad.errors import TrainingError
from wavegrad.training.data import Clip, CropSampler, find_clips, load_corpus
from wavegrad.training.loop import train
from wavegrad.training.step import Preprocessor


def own_mel(clip: Clip, config) -> torch.Tensor:
    """The whole clip's mel, its last frame filled up with zeros."""
    pcm = torch.nn.functional.pad(clip.pcm.float() / 32767, (0, -len(clip.pcm) % config.hop_length))
    return MelSpectrogram(config)(pcm[None])[0][:, : len(pcm) // config.hop_length]


@pytest.fixture
def mels(recipe, clips, tmp_path):
    """A folder with the recordings' own mels."""
    for clip in clips:
        write_mel(tmp_path / "mels" / clip.name.replace(".flac", ".npy"), own_mel(clip, recipe.model.mel_config()))
    return tmp_path / "mels"


def test_the_recordings_own_mels_give_the_examples_that_are_computed(recipe, clips, mels):
    """Inside a clip a crop's mel is a piece of the whole clip's, so both paths must agree there."""
    config = recipe.model.mel_config()
    recipe = change(recipe, "data", gain_db=(0.0, 0.0), batch_size=8)
    given = load_corpus(find_clips(SPEECH), SPEECH, config, recipe.data, print, mels)
    computed, read = (CropSampler(c, config, recipe.data, seed=0) for c in (clips, given))
    preprocess = Preprocessor(config, recipe.model.prior, computed.context, torch.device("cpu"))
    a, b = preprocess(computed.draw(0)), preprocess(read.draw(0))
    torch.testing.assert_close(b.mel, a.mel, rtol=0, atol=1e-4)
    torch.testing.assert_close(b.y_0, a.y_0, rtol=1e-3, atol=1e-4)


def test_mels_of_another_length_are_named_and_one_frame_is_mended(recipe, mels):
    config, said = recipe.model.mel_config(), []
    long, short, odd = (mels / f"{name}.npy" for name in ("kathleen", "nathalie", "ljspeech"))
    lengths = {p: np.load(p).shape[1] for p in (long, short, odd)}
    np.save(long, np.pad(np.load(long), ((0, 0), (0, 1))))
    np.save(short, np.load(short)[:, :-1])
    np.save(odd, np.load(odd)[:, :-2])
    (mels / "flemishguy.npy").unlink()
    clips = load_corpus(find_clips(SPEECH), SPEECH, config, recipe.data, said.append, mels)
    assert [(c.name, c.mel.shape[1]) for c in clips] == [
        ("kathleen.flac", lengths[long]),
        ("nathalie.flac", lengths[short]),
    ]
    assert f"{lengths[odd] - 2} frames; " in "".join(line for line in said if line.startswith("skipped ljspeech.flac"))
    assert any(line.startswith("skipped flemishguy.flac: there is no ") for line in said)


def test_a_run_on_given_mels_learns_another_thing(recipe, clips, tmp_path, mels):
    """Shifted mels: the run is deterministic in them, reports its losses, and says that gain is off."""
    recipe = change(recipe, "run", steps=2, log_every=1, valid_synthesis=1, valid_steps=2)
    recipe = change(recipe, "data", gain_db=(-10.0, 0.0))
    said: list[str] = []
    losses = {}
    for name, shift in (("own", 0.0), ("again", 0.0), ("shifted", 3.0)):
        folder = tmp_path / name
        for path in mels.iterdir():
            write_mel(folder / "mels" / path.name, torch.from_numpy(np.load(path)) + shift)
        train(recipe, SPEECH, folder / "run", say=said.append, mels=folder / "mels")
        records = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
        losses[name] = [r["loss"] for r in records]
    assert losses["own"] == losses["again"] != losses["shifted"]
    assert "random gain is off: the mels given have the level of the recordings" in said


def test_clips_with_and_without_mels_do_not_mix(recipe, clips):
    mixed = [clips[0], Clip(clips[1].name, clips[1].pcm, own_mel(clips[1], recipe.model.mel_config()))]
    with pytest.raises(TrainingError, match="1 of 2 clips come without a mel"):
        CropSampler(mixed, recipe.model.mel_config(), recipe.data, seed=0)
