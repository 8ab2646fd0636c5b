"""The stream against the whole utterance: the same samples for every way of cutting, exactly as late as computed.

With steps that take turns, and with steps that work side by side (`pipeline_frames`).
"""

import bisect
import copy
import itertools
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from wavegrad.diffusion import (
    LinearStep,
    NoiseSchedule,
    SeededNoise,
    ancestral_sample,
    ancestral_steps,
    ddim_steps,
    is_linear,
    linear_steps,
    named_sampler,
)
from wavegrad.diffusion.noise import BLOCK
from wavegrad.errors import ConfigError, WavegradError
from wavegrad.inference.operations import count_operations
from wavegrad.inference.streaming import StreamLayers, StreamSampler, inputs_needed, stream_lag
from wavegrad.inference.streaming.noise import StreamNoise
from wavegrad.network import WaveGrad, WaveGradConfig
from wavegrad.network.presets import FACTORS, NETWORKS
from wavegrad.pieces import Piece

SCHEDULE = NoiseSchedule.log_snr(2)
N_MELS = 4
TOLERANCE = 1e-5


def narrow(preset: str = "base", factors: tuple[int, ...] = (3, 2, 2, 1, 2), **fields: object) -> WaveGradConfig:
    """A preset's kernels, dilations and blocks in a few channels."""
    config = replace(
        NETWORKS[preset],
        n_mels=N_MELS,
        factors=factors,
        mel_channels=6,
        waveform_channels=4,
        ublock_channels=(6, 5, 4, 4, 4),
        dblock_channels=(4, 4, 6, 6),
    )
    return replace(config, **fields)


def tame(config: WaveGradConfig) -> WaveGrad:
    """Random weights with which refining does not diverge, and biases that are felt at the ends."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        network = WaveGrad(config).eval().requires_grad_(False)
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.add_(0.1 * torch.randn_like(parameter))
            if name.startswith("films") and name.endswith("output.weight"):
                parameter.mul_(0.1)
        network.output_conv.weight.mul_(0.3)
        return network


def mel_of(n_frames: int, n_items: int = 1) -> Tensor:
    return torch.randn(n_items, N_MELS, n_frames, generator=torch.Generator().manual_seed(1))


def whole(network: WaveGrad, mel: Tensor, seeds: Sequence[int]) -> Tensor:
    n_samples = mel.shape[2] * network.config.hop_length
    return ancestral_sample(lambda y, level: network(y, mel, level), SCHEDULE, n_samples, seeds)


def streamed(
    network: WaveGrad,
    mel: Tensor,
    seeds: Sequence[int],
    cuts: Sequence[int],
    steps: Sequence[LinearStep] | None = None,
    pipeline_frames: int | None = None,
) -> Tensor:
    """Cut after so many frames, the end told apart from the last frames."""
    sampler = StreamSampler(StreamLayers.prepare(network), steps or ancestral_steps(SCHEDULE), seeds, pipeline_frames)
    borders = [0, *sorted(cuts), mel.shape[2], mel.shape[2]]
    pieces = [
        sampler.push(Piece(start, mel[..., start:stop], last=i == len(borders) - 2))
        for i, (start, stop) in enumerate(itertools.pairwise(borders))
    ]
    assert all(a.stop == b.start for a, b in itertools.pairwise(pieces))
    assert pieces[-1].last
    return torch.cat([piece.values for piece in pieces], dim=1)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    """To 1e-5 of the peak."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE * expected.abs().max()


NETWORK = tame(narrow())
N_FRAMES = 40
WHOLE = whole(NETWORK, mel_of(N_FRAMES), [7])


@settings(max_examples=7)
@given(st.lists(st.integers(0, N_FRAMES), max_size=12), st.sampled_from([None, 3, 8]))
def test_every_way_of_cutting_gives_the_whole(cuts: list[int], pipeline_frames: int | None) -> None:
    assert_equal(streamed(NETWORK, mel_of(N_FRAMES), [7], cuts, None, pipeline_frames), WHOLE)


@pytest.mark.parametrize("pipeline_frames", [None, 1])
def test_frame_by_frame_gives_the_whole(pipeline_frames: int | None) -> None:
    assert_equal(streamed(NETWORK, mel_of(N_FRAMES), [7], range(N_FRAMES), None, pipeline_frames), WHOLE)


def test_a_pipeline_does_the_same_work_however_the_mel_is_cut() -> None:
    """Bit by bit the same audio, because all calls are of the same length."""
    cuts: list[Sequence[int]] = [[], range(N_FRAMES), [1, 2, 13, 30]]
    first, *others = (streamed(NETWORK, mel_of(N_FRAMES), [7], each, None, 4) for each in cuts)
    assert all(torch.equal(first, other) for other in others)


class _Count(TorchDispatchMode):
    """Operations under way."""

    n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def test_steps_side_by_side_are_the_operations_of_one_step() -> None:
    """All but the noise, which each step draws by itself; steps that take turns are so many times as many."""

    def n_operations(n_steps: int, pipeline_frames: int | None) -> int:
        steps = ancestral_steps(NoiseSchedule.log_snr(n_steps))
        sampler = StreamSampler(StreamLayers.prepare(NETWORK), steps, [0], pipeline_frames)
        sampler.push(Piece(0, mel_of(120)))
        with _Count() as count:
            sampler.push(Piece(120, mel_of(2)))
        return count.n

    one = n_operations(1, None)
    assert n_operations(4, 2) < 1.25 * one
    assert n_operations(4, None) > 3.5 * one


@pytest.mark.parametrize("pipeline_frames", [None, 2, 50])
@pytest.mark.parametrize("n_frames", [1, 2, 3, 7])
def test_signals_shorter_than_the_look_ahead(n_frames: int, pipeline_frames: int | None) -> None:
    mel = mel_of(n_frames, 2)
    made = streamed(NETWORK, mel, [3, 4], range(n_frames), None, pipeline_frames)
    assert_equal(made, whole(NETWORK, mel, [3, 4]))


@pytest.mark.parametrize(
    "config",
    [
        *(narrow(preset) for preset in NETWORKS),
        narrow(downsampling="nearest"),
        narrow(downsampling="linear", upsampling="linear"),
        narrow("large", (3, 2, 4, 1, 2), downsampling="linear", upsampling="linear"),
        narrow(factors=(4, 3, 2, 3, 1), downsampling="nearest", upsampling="linear"),
        narrow(ublock_dilations=((3, 1, 2, 1),) * 5),
    ],
    ids=[*NETWORKS, "nearest", "linear", "large-linear", "mixed", "dilated"],
)
@pytest.mark.parametrize(("n_items", "pipeline_frames"), [(2, None), (1, 3)])
def test_every_layout_of_the_network(config: WaveGradConfig, n_items: int, pipeline_frames: int | None) -> None:
    network, mel, seeds = tame(config), mel_of(17, n_items), [5, 2][:n_items]
    made = streamed(network, mel, seeds, [0, 1, 2, 3, 8, 8, 15], None, pipeline_frames)
    assert_equal(made, whole(network, mel, seeds))


@pytest.mark.parametrize("factors", FACTORS.values(), ids=map(str, FACTORS))
def test_every_list_of_factors(factors: tuple[int, ...]) -> None:
    network, mel = tame(narrow(factors=factors)), mel_of(9)
    expected = whole(network, mel, [5])
    for pipeline_frames in (None, 4):
        assert_equal(streamed(network, mel, [5], [1, 2, 6], None, pipeline_frames), expected)


LAYOUTS = pytest.mark.parametrize(
    "config",
    [
        narrow(),
        narrow("large"),
        narrow(factors=(2, 3, 3, 1, 1), downsampling="nearest"),
        narrow(factors=(3, 2, 4, 1, 2), downsampling="linear", upsampling="linear"),
        narrow(ublock_dilations=((3, 1, 2, 1),) * 5),
    ],
    ids=["base", "large", "nearest", "linear", "dilated"],
)


@LAYOUTS
def test_a_step_is_as_late_as_the_network_looks_ahead(config: WaveGradConfig) -> None:
    """Neither later nor earlier: the lags of the layers add up to what the receptive field allows."""
    n_frames = 60
    samples = range(n_frames * config.hop_length)
    step = StreamSampler(StreamLayers.prepare(tame(config)), ancestral_steps(NoiseSchedule.log_snr(1)), [0]).groups[0]
    n_final = bisect.bisect_left(samples, n_frames, key=lambda sample: inputs_needed(config, 1, sample).frame)
    assert step.network.lag == len(samples) - n_final


@pytest.mark.parametrize(
    ("config", "n_steps", "pipeline_frames"),
    [
        (narrow(), 2, None),
        (narrow(), 3, 2),
        (narrow("large"), 1, None),
        (narrow(factors=(2, 3, 3, 1, 1), downsampling="nearest"), 2, 2),
        (narrow(factors=(3, 2, 4, 1, 2), downsampling="linear", upsampling="linear"), 2, None),
    ],
    ids=["base", "pipelined", "large", "nearest", "linear"],
)
def test_each_frame_comes_as_late_as_computed(
    config: WaveGradConfig, n_steps: int, pipeline_frames: int | None
) -> None:
    lag, call = stream_lag(config, n_steps, pipeline_frames), pipeline_frames or 1
    sampler = StreamSampler(
        StreamLayers.prepare(tame(config)), ancestral_steps(NoiseSchedule.log_snr(n_steps)), [0], pipeline_frames
    )
    assert sampler.lag == lag
    mel = mel_of(lag + 4)
    borders = [0, *range(lag - 2, lag + 5)]
    given = [sampler.push(Piece(start, mel[..., start:stop])).stop for start, stop in itertools.pairwise(borders)]
    assert given == [max(0, stop // call * call - lag) * config.hop_length for stop in borders[1:]]
    assert given[0] == 0 < given[-1]


@pytest.mark.parametrize("n_steps", [1, 2])
def test_the_farthest_sample_needed_is_the_last_one_with_a_gradient(n_steps: int) -> None:
    network = copy.deepcopy(NETWORK).double()
    hop, sample = network.config.hop_length, 100
    needed = inputs_needed(network.config, n_steps, sample).sample
    n_frames = needed // hop + 5
    mel, noise = mel_of(n_frames).double(), torch.randn(1, n_frames * hop, generator=torch.Generator().manual_seed(2))
    y_n = noise.double().requires_grad_()
    y = y_n
    for _ in range(n_steps):
        y = y + network(y, mel, torch.full((1,), 0.5, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(y[0, sample], y_n)
    assert gradient[0].nonzero().max() == needed


def ddim(network: WaveGrad, mel: Tensor, seed: int, eta: float) -> Tensor:
    """DDIM, eq. 12, by way of the predicted y_0."""
    noise, n_samples = SeededNoise([seed]), mel.shape[2] * network.config.hop_length
    levels = SCHEDULE.alpha_bars.tolist()
    y = noise(2, n_samples)
    for n in (2, 1):
        outer, inner = levels[n - 1], levels[n - 2] if n > 1 else 1.0
        predicted = network(y, mel, torch.tensor([outer**0.5], dtype=torch.float32))
        y_0 = (y - (1 - outer) ** 0.5 * predicted) / outer**0.5
        sigma = eta * ((1 - inner) / (1 - outer) * (1 - outer / inner)) ** 0.5
        y = inner**0.5 * y_0 + max(1 - inner - sigma**2, 0) ** 0.5 * predicted
        y = y + sigma * noise(n - 1, n_samples) if n > 1 else y
    return y


@pytest.mark.parametrize("eta", [0.0, 0.6])
def test_ddim_streams_too(eta: float) -> None:
    mel = mel_of(20)
    assert_equal(streamed(NETWORK, mel, [4], [3, 11], ddim_steps(SCHEDULE, eta)), ddim(NETWORK, mel, 4, eta))


@pytest.mark.parametrize(
    ("name", "n_steps", "pipeline_frames"),
    [("dpm++2m", 1, None), ("dpm++2m", 2, 5), ("dpm++2m", 4, None), ("dpm++2m", 4, 5), ("dpm++1s", 3, None)],
)
def test_solvers_stream_too(name: str, n_steps: int, pipeline_frames: int | None) -> None:
    """With 4 steps, two of 2M look back at the step before."""
    mel, sampler, schedule = mel_of(20), named_sampler(name), NoiseSchedule.log_snr(n_steps)
    steps = linear_steps(sampler, schedule)
    assert sum(step.of_previous != 0 for step in steps) == (2 if n_steps == 4 else 0)
    expected = sampler(lambda y, level: NETWORK(y, mel, level), schedule, 20 * NETWORK.config.hop_length, [4])
    assert_equal(streamed(NETWORK, mel, [4], [3, 11], steps, pipeline_frames), expected)


@pytest.mark.parametrize("name", ["dpm++2s", "ancestral:variance=analytic"])
def test_others_cannot_be_streamed(name: str) -> None:
    assert not is_linear(named_sampler(name))
    with pytest.raises(ConfigError, match="cannot be streamed"):
        linear_steps(named_sampler(name), SCHEDULE)


def test_ddim_with_all_its_noise_is_the_ancestral_sampler() -> None:
    for a, b in zip(ddim_steps(SCHEDULE, 1.0), ancestral_steps(SCHEDULE), strict=True):
        for name in ("n", "noise_level", "of_state", "of_prediction", "of_noise"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9, abs=1e-7), name
    with pytest.raises(ConfigError, match="eta is 2"):
        ddim_steps(SCHEDULE, 2.0)


def test_the_larger_variance() -> None:
    mel = mel_of(10)
    expected = ancestral_sample(
        lambda y, level: NETWORK(y, mel, level), SCHEDULE, 10 * NETWORK.config.hop_length, [1], variance="beta"
    )
    assert_equal(streamed(NETWORK, mel, [1], [4], ancestral_steps(SCHEDULE, "beta")), expected)
    with pytest.raises(ConfigError, match="unknown variance"):
        ancestral_steps(SCHEDULE, "learned")


@pytest.mark.parametrize("pipeline_frames", [None, 5])
def test_a_fork_goes_its_own_way(pipeline_frames: int | None) -> None:
    mel = mel_of(20)
    sampler = StreamSampler(StreamLayers.prepare(NETWORK), ancestral_steps(SCHEDULE), [7], pipeline_frames)
    begun = sampler.push(Piece(0, mel[..., :12])).values
    ended = sampler.fork().push(Piece(12, mel[..., :0], last=True)).values
    rest = sampler.push(Piece(12, mel[..., 12:], last=True)).values
    assert_equal(torch.cat((begun, ended), dim=1), whole(NETWORK, mel[..., :12], [7]))
    assert_equal(torch.cat((begun, rest), dim=1), whole(NETWORK, mel, [7]))


def test_the_noise_of_a_stream_is_that_of_a_call() -> None:
    """Whatever it is asked for; it keeps a block at most, and the most that it was asked for."""
    noise, start = SeededNoise([3, 4]), 100
    stream = StreamNoise(noise, 2)
    for n_samples in (1, 600, 0, 5000, 2 * BLOCK - 5701, 600, 0, 3496, 7):
        assert torch.equal(stream(n_samples, start), noise(2, n_samples, start))
        assert stream._drawn is not None
        assert stream._drawn.shape[1] <= BLOCK + 5000
        start += n_samples


@pytest.mark.parametrize("pipeline_frames", [None, 3])
def test_a_prediction_that_is_not_finite_is_reported_with_its_step(pipeline_frames: int | None) -> None:
    network = tame(narrow())
    network.output_conv.bias.fill_(float("nan"))
    with pytest.raises(WavegradError, match="not finite at refinement step 2"):
        streamed(network, mel_of(20), [0], [], None, pipeline_frames)


class Products(TorchDispatchMode):
    """Counts the multiply-accumulates of matrix products, those in place too, which FlopCounterMode passes over."""

    def __init__(self):
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if "mm" in function.overloadpacket.__name__:
            rows, weights = args[-2:]
            self.macs += rows.numel() * weights.shape[-1]
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("cuts", [[], range(30), [13, 21]])
def test_what_lies_outside_the_signal_costs_nothing(cuts: Sequence[int]) -> None:
    """Of the frames after its end, each step takes as many as it looks ahead, and of those before its start none."""
    n_frames, n_steps = 30, 2
    steps, config = ancestral_steps(NoiseSchedule.log_snr(n_steps)), NETWORK.config
    with torch.no_grad(), Products() as products:
        streamed(NETWORK, mel_of(n_frames), [0], cuts, steps)
    counted = count_operations(config, config.hop_length)
    mel, step_lag = counted.parts["mel"][0], stream_lag(config, 1)
    of_steps = (n_frames + step_lag) * (counted.of_stream(n_steps) - mel)
    assert products.macs == of_steps + (n_frames + stream_lag(config, n_steps)) * mel


@pytest.mark.parametrize(
    ("fields", "pipeline_frames"),
    [({}, None), ({}, 2), ({"downsampling": "nearest"}, 2), ({"blocks_per_level": 2}, None)],
    ids=str,
)
def test_what_is_counted_of_a_stream_is_what_is_run(pipeline_frames, fields):
    config = narrow(**fields)
    steps = ddim_steps(NoiseSchedule.log_snr(2))
    sampler = StreamSampler(StreamLayers.prepare(tame(config)), steps, [0], pipeline_frames)
    sampler.push(Piece(0, torch.zeros(1, N_MELS, 70)))  # all steps have begun
    with torch.no_grad(), Products() as products:
        sampler.push(Piece(70, torch.zeros(1, N_MELS, 8)))
    counted = count_operations(config, config.hop_length)  # one frame a second
    assert products.macs == 8 * counted.of_stream(2)
