"""`StreamConsistency` against `MelConsistency`: the same waveform, however it comes, and as soon as it can."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.audio.test_consistency import CONFIGS, mel_of, noisy, speech
from wavegrad.audio.consistency import MelConsistency
from wavegrad.audio.stream_consistency import StreamConsistency, last_sample_needed
from wavegrad.pieces import Piece

N_FRAMES = 30


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("n_iter", [1, 4])
def test_frame_by_frame_each_sample_comes_as_soon_as_it_is_final(name: str, n_iter: int) -> None:
    config = CONFIGS[name]
    hop, target = config.hop_length, speech(config, N_FRAMES)
    waveform, mel = noisy(target), mel_of(target, config)
    stream, made, n_made = StreamConsistency(MelConsistency(config, n_iter)), [], 0
    for k in range(N_FRAMES):
        last = k == N_FRAMES - 1
        piece = stream.push(
            Piece(k * hop, waveform[:, k * hop : (k + 1) * hop], last), Piece(k, mel[:, :, k : k + 1], last)
        )
        assert piece.start == n_made
        made.append(piece.values)
        n_made += piece.values.shape[1]
        if not last:
            assert n_made == sum(last_sample_needed(s, config, n_iter) < (k + 1) * hop for s in range(N_FRAMES * hop))
    assert torch.allclose(torch.cat(made, dim=1), MelConsistency(config, n_iter)(waveform, mel), atol=1e-5)


@settings(max_examples=15)
@given(
    st.integers(1, N_FRAMES),
    st.lists(st.integers(0, N_FRAMES * 24), max_size=6),
    st.lists(st.integers(0, N_FRAMES), max_size=6),
)
@example(1, [], [])
@example(2, [5, 30], [0, 1])
@example(N_FRAMES, [0, 0, 100], [N_FRAMES])
def test_every_way_of_cutting(n_frames: int, cuts: list[int], mel_cuts: list[int]) -> None:
    """The mel is ahead: all of it that belongs to a sample is there when the sample comes."""
    config = CONFIGS["same"]
    hop, target = config.hop_length, speech(config, n_frames)
    waveform, mel = noisy(target), mel_of(target, config)
    stream, made = StreamConsistency(MelConsistency(config, 2)), []
    borders = [0, *sorted(min(c, n_frames * hop) for c in cuts), n_frames * hop]
    known = 0
    for i, (a, b) in enumerate(itertools.pairwise(borders)):
        ahead = max([known, *(c for c in mel_cuts if c <= n_frames), -(-b // hop)])
        frames, known = mel[:, :, known:ahead], ahead
        last = i == len(borders) - 2
        piece = stream.push(Piece(a, waveform[:, a:b], last), Piece(known - frames.shape[2], frames, last))
        made.append(piece.values)
    assert torch.allclose(torch.cat(made, dim=1), MelConsistency(config, 2)(waveform, mel), atol=1e-5)


def test_a_stream_of_no_iteration_is_the_waveform_at_once() -> None:
    waveform = Piece(0, torch.ones(1, 5))
    assert (
        StreamConsistency(MelConsistency(CONFIGS["same"], 0)).push(waveform, Piece(0, torch.zeros(1, 9, 1))) is waveform
    )


@pytest.mark.parametrize("n_iter", [1, 2])
def test_a_sample_depends_on_the_last_one_needed_and_on_none_behind_it(n_iter: int) -> None:
    config = CONFIGS["same"]
    target = speech(config, N_FRAMES).double()
    consistency, mel, waveform = MelConsistency(config, n_iter, torch.float64), mel_of(target, config), noisy(target)
    before = consistency(waveform, mel)
    for sample in (200, 211, 221):
        last = last_sample_needed(sample, config, n_iter)
        for place, matters in ((last, True), (last + 1, False)):
            other = waveform.clone()
            other[0, place] += 1.0
            assert ((consistency(other, mel)[0, sample] - before[0, sample]).abs() > 1e-12) == matters
