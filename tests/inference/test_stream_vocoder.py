"""`Vocoder.stream`: the audio of a call, in pieces, with the colour of the prior."""

import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.inference.test_stream_sampler import narrow, tame
from wavegrad.audio import mel_preset
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.prior import PriorConfig
from wavegrad.diffusion import ancestral_steps
from wavegrad.errors import AudioError, ConfigError
from wavegrad.inference.streaming.noise import StreamNoise
from wavegrad.network import network_preset
from wavegrad.pieces import Operator
from wavegrad.streaming import MAX_FRAMES, StreamOptions, VocoderStream, look_ahead
from wavegrad.vocoder import Vocoder

MEL = MelConfig(
    sample_rate=2000, n_fft=96, win_length=96, hop_length=24, n_mels=4, f_min=0.0, f_max=1000.0, mel_scale="htk"
)
ODD = replace(MEL, hop_length=27, n_fft=108, win_length=108)
SPECTRAL = PriorConfig("spectral", n_cepstra=3)


def vocoder_of(prior: PriorConfig = SPECTRAL, mel_config: MelConfig = MEL) -> Vocoder:
    factors = {24: (3, 2, 2, 1, 2), 27: (3, 3, 3, 1, 1)}[mel_config.hop_length]
    return Vocoder(mel_config, tame(narrow(factors=factors)), prior)


def mel_of(n_frames: int, n_items: int = 1) -> Tensor:
    """Loud and quiet by turns: gains that differ from frame to frame."""
    noise = torch.randn(n_items, 4, n_frames, generator=torch.Generator().manual_seed(1))
    return 0.5 * noise - 5 + torch.sin(torch.arange(n_frames) / 2)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5 * max(1.0, expected.abs().max().item())


VOCODER = vocoder_of()
N_FRAMES = 40
WHOLE = VOCODER(mel_of(N_FRAMES)[0], 2, 5)


@settings(max_examples=6)
@given(st.lists(st.integers(0, N_FRAMES), max_size=12), st.sampled_from([None, 3]))
def test_every_way_of_cutting_gives_the_audio_of_a_call(cuts: list[int], pipeline_frames: int | None) -> None:
    borders = [0, *sorted(cuts), N_FRAMES]
    chunks = [mel_of(N_FRAMES)[0, :, a:b] for a, b in itertools.pairwise(borders)]
    made = list(VOCODER.stream(chunks, 2, 5, pipeline_frames=pipeline_frames))
    assert all(len(piece) for piece in made)
    assert_equal(torch.cat(made), WHOLE)


@pytest.mark.parametrize(
    ("prior", "mel_config", "pipeline_frames"),
    [
        (PriorConfig("standard"), MEL, None),
        (PriorConfig("standard"), ODD, 4),
        (PriorConfig("energy"), MEL, 4),
        (PriorConfig("energy"), ODD, None),
        (SPECTRAL, MEL, 4),
        (SPECTRAL, ODD, None),
    ],
    ids=lambda value: getattr(value, "kind", None) or getattr(value, "hop_length", value),
)
def test_every_prior_in_a_batch(prior: PriorConfig, mel_config: MelConfig, pipeline_frames: int | None) -> None:
    """Griffin-Lim behind two of them. One step: audio comes before the mel has ended."""
    vocoder, mel = vocoder_of(prior, mel_config), mel_of(25, 2)
    chunks, griffin_lim = mel.split([1, 0, 13, 1, 1, 9], dim=2), 0 if prior.kind == "energy" else 2
    expected = vocoder(mel, 1, [8, 3], griffin_lim=griffin_lim)
    pieces = vocoder.stream(chunks, 1, [8, 3], griffin_lim=griffin_lim, pipeline_frames=pipeline_frames)
    assert_equal(torch.cat(list(pieces), dim=1), expected)


def test_a_chunk_longer_than_one_piece() -> None:
    mel = mel_of(2 * MAX_FRAMES + 5)[0]
    assert_equal(torch.cat(list(VOCODER.stream([mel], 1))), VOCODER(mel, 1))


@pytest.mark.parametrize(
    ("prior", "mel_config", "n_steps", "griffin_lim", "pipeline_frames", "n_frames"),
    [
        (PriorConfig("standard"), MEL, 2, 0, None, 40),
        (SPECTRAL, ODD, 1, 0, None, 24),
        (SPECTRAL, replace(MEL, centring="center"), 1, 2, None, 36),
        (PriorConfig("standard"), ODD, 1, 2, None, 30),
        (SPECTRAL, MEL, 2, 0, 1, 42),
        (SPECTRAL, ODD, 2, 2, 3, 51),
    ],
    ids=["standard", "odd", "center", "griffin-lim", "pipeline-1", "pipeline-3"],
)
def test_the_audio_is_as_late_as_the_receptive_field_says(
    prior: PriorConfig,
    mel_config: MelConfig,
    n_steps: int,
    griffin_lim: int,
    pipeline_frames: int | None,
    n_frames: int,
) -> None:
    """Frame by frame: nothing before `first_frames`, and then never more than `frames` behind, which is reached."""
    vocoder, hop = vocoder_of(prior, mel_config), mel_config.hop_length
    delay = vocoder.look_ahead(n_steps, griffin_lim, pipeline_frames)
    n_given, n_pushed, behind = 0, 0, []

    def chunks():
        nonlocal n_pushed
        for frame in mel_of(n_frames)[0].split(1, dim=1):
            if n_pushed > delay.first_frames + 2:
                behind.append(n_pushed - n_given / hop)
            assert (n_given > 0) == (n_pushed >= delay.first_frames)
            n_pushed += 1
            yield frame

    for piece in vocoder.stream(chunks(), n_steps, griffin_lim=griffin_lim, pipeline_frames=pipeline_frames):
        n_given += len(piece)
    assert delay.frames == max(-(-b // 1) for b in behind)
    assert delay.samples <= delay.frames * hop + hop - 1


def test_the_look_ahead_of_the_presets() -> None:
    """Base at 6 steps, 0.46 s: less than 6 times the 1767 samples of a call, which not every sample sees, and the
    folds of the transform, 300 to 600 samples. Large sees farther."""
    mel_config = mel_preset("wavegrad-24k")
    base = look_ahead(network_preset("base"), mel_config, SPECTRAL, 6)
    plain = look_ahead(network_preset("base"), mel_config, PriorConfig(), 6)
    assert base.samples / 24000 == pytest.approx(0.46, abs=0.005)
    assert 5 * 1767 < plain.samples <= 6 * 1767
    assert 300 <= base.samples - plain.samples <= 600
    assert look_ahead(network_preset("large"), mel_config, PriorConfig(), 1).samples > 1767
    assert 900 <= look_ahead(network_preset("base"), mel_config, SPECTRAL, 6, 1).samples - base.samples <= 1200


@pytest.mark.parametrize(("griffin_lim", "pipeline_frames"), [(0, None), (2, None), (0, 4)])
def test_bounded_look_ahead_gives_what_a_mel_that_ends_there_gives(
    griffin_lim: int, pipeline_frames: int | None
) -> None:
    mel, bound, hop = mel_of(40)[0], 3, VOCODER.hop_length
    chunks, n_given = mel.split(7, dim=1), 0
    pieces = list(
        VOCODER.stream(chunks, 2, 5, griffin_lim=griffin_lim, lookahead_frames=bound, pipeline_frames=pipeline_frames)
    )
    for i, piece in enumerate(pieces[:-1], start=1):
        n_come = min(7 * i, 40)
        so_far = VOCODER(mel[:, :n_come], 2, 5, griffin_lim=griffin_lim)
        assert n_given + len(piece) == (n_come - bound) * hop
        assert_equal(piece, so_far[n_given : n_given + len(piece)])
        n_given += len(piece)
    assert len(pieces) == 7
    assert_equal(pieces[-1], VOCODER(mel, 2, 5, griffin_lim=griffin_lim)[n_given:])


def test_a_bound_that_is_no_bound_changes_nothing() -> None:
    mel = mel_of(60)[0]
    frames = VOCODER.look_ahead(2).frames + 1
    bounded = torch.cat(list(VOCODER.stream(mel.split(7, dim=1), 2, lookahead_frames=frames)))
    assert_equal(bounded, VOCODER(mel, 2))


@pytest.mark.parametrize("pipeline_frames", [None, 8])
def test_memory_does_not_grow_with_the_mel(pipeline_frames: int | None) -> None:
    """What a stream keeps after 480 frames is what it kept after 160."""
    stream = begun(VOCODER, pipeline_frames)
    sizes = []
    for _ in range(6):
        stream.push(mel_of(80))
        sizes.append(sum(kept(stream).values()))
    assert len(set(sizes[1:])) == 1


def test_streams_of_one_vocoder_share_its_weights() -> None:
    """Whatever a stream holds before it is given anything belongs to all of them, but a few numbers for each layer."""
    one, two = kept(begun(VOCODER)), kept(begun(VOCODER, 3))
    shared = sum(size for storage, size in one.items() if storage in two)
    weights = sum(p.nbytes for p in VOCODER.network.parameters())
    assert shared > 0.9 * weights
    assert sum(one.values()) - shared < 0.1 * weights
    assert kept(begun(replace(VOCODER))).keys().isdisjoint(kept(VOCODER._stream_layers["float32"].network))


def begun(vocoder: Vocoder, pipeline_frames: int | None = None) -> VocoderStream:
    steps = ancestral_steps(vocoder.find_schedule(2))
    return VocoderStream(vocoder._stream_model("float32", 2), steps, [0], StreamOptions(None, pipeline_frames))


def kept(value: object) -> dict[int, int]:
    """Bytes of all tensors that an operator holds, by where they lie."""
    if isinstance(value, Tensor):
        return {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes()}
    if isinstance(value, torch.nn.Module | StreamNoise):
        return {}  # the vocoder's; the rest of a block
    parts = value if isinstance(value, list) else vars(value).values() if isinstance(value, Operator) else []
    return {k: v for part in parts for k, v in kept(part).items()}


def test_streams_of_one_vocoder_do_not_disturb_each_other() -> None:
    mel = mel_of(N_FRAMES)[0]
    one, two = (VOCODER.stream(mel.split(4, dim=1), 2, seed) for seed in (5, 6))
    mixed = [(a, b) for a, b in zip(one, two, strict=True)]
    assert_equal(torch.cat([a for a, _ in mixed]), WHOLE)
    assert_equal(torch.cat([b for _, b in mixed]), VOCODER(mel, 2, 6))
    alone = list(VOCODER.stream(mel.split(4, dim=1), 2, 5))
    assert all(torch.equal(a, b) for (a, _), b in zip(mixed, alone, strict=True))


def test_autograd_may_use_the_audio() -> None:
    gain = torch.ones((), requires_grad=True)
    sum((gain * piece).sum() for piece in VOCODER.stream([mel_of(4)[0]], 1)).backward()
    assert gain.grad is not None
    assert not torch.is_inference_mode_enabled()


def test_chunks_that_are_no_mels() -> None:
    good = mel_of(4)
    for chunks, message in (
        ([], "without a frame"),
        ([good[..., :0]], "without a frame"),
        ([good, good[0]], "2 axes|3 axes"),
        ([good, good.expand(2, -1, -1)], "a chunk of 2 mels"),
        ([good, good[:, :3]], "bands"),
        ([good, good[:, :3, :0]], "bands"),
        ([good, good * float("nan")], "not finite"),
    ):
        with pytest.raises(AudioError, match=message):
            list(VOCODER.stream(chunks, 1))


def test_options_are_checked_at_once() -> None:
    with pytest.raises(ConfigError, match="lookahead_frames is -1"):
        VOCODER.stream([], lookahead_frames=-1)
    with pytest.raises(ConfigError, match="pipeline_frames is 0"):
        VOCODER.stream([], pipeline_frames=0)
    with pytest.raises(ConfigError, match="pipeline_frames is -3"):
        VOCODER.look_ahead(1, pipeline_frames=-3)
    with pytest.raises(ConfigError, match="unknown schedule"):
        VOCODER.stream([], "sevn")
    with pytest.raises(ConfigError, match="2 seeds for 1 mels"):
        list(VOCODER.stream([mel_of(3)], 1, [1, 2]))


@pytest.mark.parametrize("pipeline_frames", [None, 4])
def test_bfloat16_is_close(pipeline_frames: int | None) -> None:
    chunks = mel_of(N_FRAMES)[0].split(7, dim=1)
    made = list(VOCODER.stream(chunks, 2, 5, precision="bfloat16", pipeline_frames=pipeline_frames))
    exact, rounded = WHOLE, torch.cat(made)
    assert rounded.dtype == torch.float32
    snr_db = 10 * torch.log10(exact.square().sum() / (exact - rounded).square().sum())
    assert 15 < snr_db < 100
