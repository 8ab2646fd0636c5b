"""The corpus and its crops."""

import numpy as np
import pytest
import soundfile
import torch

from tests.training.conftest import SPEECH, change
from wavegrad.audio.mel import MelSpectrogram
from wavegrad.audio.prior import PriorConfig, prior_gains, whiten
from wavegrad.errors import TrainingError
from wavegrad.training.bank import ClipBank
from wavegrad.training.data import Clip, CropSampler, context_samples, find_clips, fingerprint, hold_out, load_corpus
from wavegrad.training.step import Preprocessor


def test_a_step_draws_the_same_crops_whenever_it_is_asked_for(recipe, clips):
    mel = recipe.model.mel_config()
    a, b = (CropSampler(clips, mel, recipe.data, seed=1) for _ in range(2))
    a.draw(3)
    first, again = a.draw(7), b.draw(7)
    assert first.names == again.names
    assert torch.equal(first.windows, again.windows)
    assert not torch.equal(first.windows, a.draw(8).windows)
    assert not torch.equal(first.windows, CropSampler(clips, mel, recipe.data, seed=2).draw(7).windows)


def test_the_parts_of_a_step_are_the_step(recipe, clips):
    recipe = change(recipe, "data", batch_size=6)
    sampler = CropSampler(clips, recipe.model.mel_config(), recipe.data, seed=0)
    whole, parts = sampler.draw(5), [sampler.draw(5, i, 3) for i in range(3)]
    assert torch.equal(whole.windows, torch.cat([p.windows for p in parts]))
    assert torch.equal(whole.gains, torch.cat([p.gains for p in parts]))


def test_crops_lie_on_frame_borders_and_every_start_is_equally_likely(recipe, clips):
    """Chi-square over all starts of one clip; false alarm 1e-6 (the seed is fixed)."""
    from scipy.stats import chisquare

    clip = clips[0]
    mel, hop = recipe.model.mel_config(), 300
    sampler = CropSampler([clip], mel, change(recipe, "data", batch_size=4000, gain_db=(0.0, 0.0)).data, seed=0)
    crops = sampler.draw(0)
    context = context_samples(mel)
    starts = {}
    for i in range(len(clip.pcm) // hop - recipe.data.crop_frames + 1):
        samples = clip.pcm[i * hop : (i + recipe.data.crop_frames) * hop].float() / 32767
        starts[samples.numpy().tobytes()] = i
    found = [starts[w[context:-context].contiguous().numpy().tobytes()] for w in crops.windows]
    assert chisquare(np.bincount(found, minlength=len(starts))).pvalue > 1e-6


def test_a_crop_has_the_mel_and_the_whitening_of_the_whole_clip(recipe, clips):
    """The context makes a crop from the middle of a clip indistinguishable from a piece of the whole (float64)."""
    mel_config, prior = recipe.model.mel_config(), PriorConfig("spectral", 64)
    context, hop = context_samples(mel_config), mel_config.hop_length
    clip = clips[0].pcm.double()[: len(clips[0].pcm) // hop * hop] / 32767
    mel = MelSpectrogram(mel_config).double()(clip[None])
    whitened = whiten(clip[None], prior_gains(mel, mel_config, prior))
    start, n_frames = 40, 6
    inside = slice(start * hop, (start + n_frames) * hop)
    window = clip[None, inside.start - context : inside.stop + context]
    mel_of_window = MelSpectrogram(mel_config).double()(window)
    n_context = context // hop
    torch.testing.assert_close(
        mel_of_window[:, :, n_context:-n_context], mel[:, :, start : start + n_frames], rtol=0, atol=1e-9
    )
    y_0 = whiten(window, prior_gains(mel_of_window, mel_config, prior))[:, context:-context]
    torch.testing.assert_close(y_0, whitened[:, inside], rtol=1e-7, atol=1e-7)


def test_a_clip_shorter_than_a_crop_is_padded_and_masked(recipe, clips):
    mel = recipe.model.mel_config()
    short = [type(clips[0])("short", clips[0].pcm[:1000])]
    crops = CropSampler(short, mel, recipe.data, seed=0).draw(0)
    example = Preprocessor(mel, recipe.model.prior, context_samples(mel), torch.device("cpu"))(crops)
    assert example.y_0.shape == (2, 4 * 300)
    assert example.mask.sum(1).tolist() == [1000, 1000]
    assert torch.isfinite(example.y_0).all()


def test_gain_keeps_samples_within_full_scale(recipe, clips):
    loud = change(recipe, "data", gain_db=(60.0, 60.0), batch_size=16)
    crops = CropSampler(clips, recipe.model.mel_config(), loud.data, seed=0).draw(0)
    peaks = (crops.windows * crops.gains[:, None]).abs().amax(1)
    assert peaks.max() <= 1 + 1e-6
    assert peaks.min() > 0.99


def test_bad_files_are_named_and_skipped(recipe, tmp_path):
    soundfile.write(tmp_path / "good.wav", np.sin(np.arange(24000) * 0.05) * 0.3, 24000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(24000), 24000)
    soundfile.write(tmp_path / "short.wav", np.ones(100) * 0.1, 24000)
    (tmp_path / "broken.flac").write_bytes(b"fLaC, or not")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:20044])
    said: list[str] = []
    clips = load_corpus(find_clips(tmp_path), tmp_path, recipe.model.mel_config(), recipe.data, said.append)
    assert [(c.name, len(c.pcm)) for c in clips] == [("cut.wav", 10000), ("good.wav", 24000)]
    assert sorted(line.split(":")[0] for line in said) == [
        str(tmp_path / "cut.wav"),
        "skipped broken.flac",
        "skipped short.wav",
        "skipped silent.wav",
    ]


def test_a_corpus_with_nothing_left_is_refused(recipe, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(24000), 24000)
    with pytest.raises(TrainingError, match="no usable audio file"):
        load_corpus(find_clips(tmp_path), tmp_path, recipe.model.mel_config(), recipe.data, print)


def test_a_fingerprint_is_of_names_lengths_ends_and_mels():
    pcm = torch.arange(20000).to(torch.int16)
    mel = torch.zeros(3, 40)
    front, back, middle = (pcm.clone().index_fill_(0, torch.tensor(i), 7) for i in (5, -5, 10000))
    others = [
        *([Clip("b", pcm, mel)], [Clip("a", front, mel)], [Clip("a", back, mel)], [Clip("a", pcm, mel + 1)]),
        *([Clip("a", pcm)], [Clip("a", torch.cat((pcm[:9000], pcm[8000:])), mel)], []),
    ]
    same = [[Clip("a", pcm.clone(), mel.clone())], [Clip("a", middle, mel)]]
    sums = [fingerprint(clips) for clips in ([Clip("a", pcm, mel)], *same, *others)]
    assert sums[0] == sums[1] == sums[2]
    assert len(set(sums)) == 1 + len(others)


def test_held_out_clips_stay_held_out_when_others_come(tmp_path):
    paths = [tmp_path / f"{i:03d}.wav" for i in range(50)]
    _, valid = hold_out(paths, tmp_path, 10)
    _, fewer = hold_out(paths[:40], tmp_path, 10)
    assert len(set(valid) & set(fewer)) >= 6  # all but those that newcomers displaced
    train, valid = hold_out(paths, tmp_path, 10)
    assert not set(train) & set(valid)
    with pytest.raises(TrainingError, match=r"too few to hold out 3; .* lower data\.valid_clips to 2 or less"):
        hold_out(paths[:5], tmp_path, 3)
    with pytest.raises(TrainingError, match=r"1 clip, of which none can be held out; pass --valid DIR$"):
        hold_out(paths[:1], tmp_path, 1)


def test_speech_is_found_at_any_depth():
    assert [p.stem for p in find_clips(SPEECH.parent)][:4] == ["flemishguy", "kathleen", "ljspeech", "nathalie"]


def test_windows_beyond_the_ends_of_a_clip_are_silent_there(recipe):
    """Neighbours in the bank never leak into each other's windows."""
    pcm = [torch.full((n,), 1000 * (i + 1), dtype=torch.int16) for i, n in enumerate((50, 7, 300))]
    bank = ClipBank(pcm, gap=500, device=torch.device("cpu"))
    for i, clip in enumerate(pcm):
        for begin in (-400, -3, 0, 5, len(clip) - 100):
            window = bank.windows(np.array([i]), np.array([begin]), 500)[0]
            expected = torch.zeros(500)
            inside = slice(max(0, -begin), min(500, len(clip) - begin))
            expected[inside] = 1000 * (i + 1) / 32767
            torch.testing.assert_close(window, expected, rtol=0, atol=0)
