"""Training on mels that come with the clips: what an acoustic model predicts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import SPEECH, change
from wavegrad.audio import MelSpectrogram
from wavegrad.audio.mel_file import write_mel
from wavegrad.errors import TrainingError
from wavegrad.training.data import Clip, CropSampler, context_samples, find_clips, load_corpus
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


def test_where_a_clip_begins_and_ends_given_mels_whiten_it_as_its_own_do(recipe, clips, mels):
    """Regression: beyond a clip's ends the given mel said silence, and the prior made of the noise floor there what is
    a hundred times too loud; the loss of the few crops that see an end outweighed all others."""
    config = recipe.model.mel_config()
    long = min(clips, key=lambda clip: len(clip.pcm))
    n_frames = len(long.pcm) // config.hop_length  # crops of the whole clip
    recipe = change(recipe, "data", gain_db=(0.0, 0.0), batch_size=1, crop_frames=n_frames)
    noisy = Clip(long.name, (1000 * torch.randn(n_frames * config.hop_length, generator=torch.Generator())).short())
    preprocess, peaks = Preprocessor(config, recipe.model.prior, context_samples(config), torch.device("cpu")), []
    for clip in (noisy, replace(noisy, mel=own_mel(noisy, config))):
        y_0 = preprocess(CropSampler([clip], config, recipe.data, seed=0).draw(0)).y_0[0]
        peaks.append(y_0.unflatten(0, (n_frames, -1)).square().mean(1).sqrt())
    computed, given = peaks
    torch.testing.assert_close(given[2:-2], computed[2:-2], rtol=1e-3, atol=1e-3)
    assert given.max() < 1.5 * computed[2:-2].max()


def test_mels_that_the_front_end_cannot_have_made_are_named(recipe, mels):
    """Regression: a NaN in a mel ended the run at some step, or made the loss of all validations NaN."""
    config, said = recipe.model.mel_config(), []
    broken, foreign, flat = (mels / f"{name}.npy" for name in ("kathleen", "nathalie", "ljspeech"))
    np.save(broken, np.where(np.arange(np.load(broken).shape[1]) == 10, np.nan, np.load(broken)))
    np.save(foreign, 20 * np.load(foreign))
    np.save(flat, np.full_like(np.load(flat), -5.0))
    clips = load_corpus(find_clips(SPEECH), SPEECH, config, recipe.data, said.append, mels)
    assert [clip.name for clip in clips] == ["flemishguy.flac", "ljspeech.flac"]
    for beginning, reason in (
        ("skipped kathleen.flac: 128 of ", "are not finite; the first is nan at (0, 10)"),
        ("skipped nathalie.flac: mel values run from ", "this mel is in another convention"),
        ("ljspeech.flac: mel values run from ", "without contrast"),
    ):
        assert any(line.startswith(beginning) and reason in line for line in said), said


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
