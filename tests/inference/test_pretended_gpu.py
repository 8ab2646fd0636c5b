"""What runs on a GPU, on tensors that only pretend to be there: shapes, dtypes, and that nothing is left on the CPU.

They have no values, so whatever looks at one, and would make the processor wait for the device, raises.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from tests.inference.test_graphs import ByHand
from wavegrad.audio.presets import mel_preset
from wavegrad.audio.prior import PriorConfig
from wavegrad.diffusion import Ancestral, CounterNoise, NoiseSchedule, linear_steps, seeded_noise
from wavegrad.inference import Engine, EngineOptions, sample_at_once
from wavegrad.inference.film import modulated
from wavegrad.inference.fused_rows import FusedConvolution, FusedRows
from wavegrad.inference.graphs import GraphCache, Inputs, Recorded
from wavegrad.inference.kernels import FusedKernels
from wavegrad.inference.layers import Convolution
from wavegrad.inference.prepared import PreparedNetwork
from wavegrad.inference.streaming import StreamLayers
from wavegrad.inference.upsampled_conv import sum_phases
from wavegrad.network import WaveGrad, network_preset
from wavegrad.streaming import StreamModel, StreamOptions, VocoderStream
from wavegrad.vocoder import Vocoder

SCHEDULE = NoiseSchedule.log_snr(3, 20.0, -20.0)
STEPS = linear_steps(Ancestral(), NoiseSchedule.log_snr(2, 20.0, -20.0))


@pytest.fixture
def gpu() -> Iterator[torch.device]:
    """Inside, every new tensor is pretended; the CPU's too."""
    known = SCHEDULE.alpha_bars.tolist()
    with (
        patch.object(NoiseSchedule, "alpha_bars", SimpleNamespace(tolist=lambda: known)),
        patch("wavegrad.inference.loop.warn_of_terminal_level"),
        FakeTensorMode(allow_non_fake_inputs=True),
    ):
        yield torch.device("cuda", 0)


def tiny(**fields: object) -> WaveGrad:
    with torch.device("cuda"), patch("torch.nn.init.orthogonal_"):
        return WaveGrad(replace(network_preset("tiny"), **fields))


class Direct(GraphCache):
    """Calls what it should record, and keeps the result where its recordings would be."""

    def run(self, key: Hashable, function: Callable[[Inputs], Tensor], inputs: Inputs) -> Tensor:
        result = function(inputs)
        self.recorded[key] = Recorded(inputs, lambda: result)
        return result


def test_noise_is_drawn_on_the_device(gpu: torch.device) -> None:
    noise = seeded_noise([1, -(2**40)], gpu)
    assert isinstance(noise, CounterNoise)
    with patch.object(torch, "tensor", None):  # it would be copied from the CPU
        drawn = noise.draws([6, 3], 1000, 7)
    assert (drawn.device, drawn.dtype, drawn.shape) == (gpu, torch.float32, (2, 2, 1000))


@pytest.mark.parametrize("graphs", [True, False])
@pytest.mark.parametrize("frames", [[5], [5, 5], [5, 3]])
def test_a_call_of_the_engine_never_waits(gpu: torch.device, graphs: bool, frames: list[int]) -> None:
    engine = Engine(PreparedNetwork.prepare(tiny(), torch.bfloat16), Direct(1, ByHand()) if graphs else None)
    config, n_items = engine.network.config, len(frames)
    y = torch.empty(n_items, 5 * config.hop_length, device=gpu)
    predict = engine.bind(torch.empty(n_items, config.n_mels, 5, device=gpu), frames)
    with patch.object(torch, "tensor", None):
        predicted = predict(y, y.new_empty(1).expand(n_items))
    assert (predicted.device, predicted.dtype, predicted.shape) == (gpu, torch.float32, y.shape)


def test_a_walk_looks_at_values_once(gpu: torch.device) -> None:
    """At the end: whether they are finite."""
    cache = Direct(1, ByHand())
    engine = Engine(PreparedNetwork.prepare(tiny(), torch.bfloat16), cache)
    mel = torch.empty(2, engine.network.config.n_mels, 5, device=gpu)
    with pytest.raises(DataDependentOutputException):
        sample_at_once(engine, Ancestral(), SCHEDULE, mel, [5, 3], [1, 2])
    (result,) = (recorded.replay() for recorded in cache.recorded.values())
    assert (result.device, result.dtype, len(result)) == (gpu, torch.float32, 2)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("n_graphs", [0, 3])
def test_what_an_engine_is_prepared_with(gpu: torch.device, fused: bool, n_graphs: int) -> None:
    chosen = []

    def choose(device: torch.device, dtype: torch.dtype, load: object) -> FusedKernels:
        chosen.append((device, dtype))
        return FusedKernels(print, FusedRows(None, None, (32, 128), 8))

    with (
        patch("wavegrad.inference.kernels.seen_to_work", choose),
        patch("wavegrad.inference.engine.CudaRecorder.on", lambda device: ByHand()),
    ):
        engine = Engine.prepare(tiny(), "bfloat16", EngineOptions(n_graphs, fused))
    assert engine.network.ublocks[-1][-1].modulate is (print if fused else modulated)
    assert chosen == [(gpu, torch.bfloat16)] * fused
    kinds = {type(conv) for block in engine.network.ublocks[-1] for conv in block.convs}
    assert kinds == {FusedConvolution if fused else Convolution}
    assert (engine.network.ublocks[0][0].first.phases is sum_phases) is not fused
    assert (engine.graphs.size if engine.graphs else 0) == n_graphs


@pytest.fixture
def vocoder() -> Vocoder:
    """On the CPU, with all its tables made."""
    with patch("torch.nn.init.orthogonal_"):
        network = WaveGrad(network_preset("tiny"))
    made = Vocoder(mel_preset("wavegrad-24k"), network, PriorConfig("spectral"))
    assert made._prior_gains is not None
    for n_iter in (0, 2):
        made._consistency(n_iter)
    return made


@pytest.mark.parametrize("frames", [[5, 5], [5, 3]])
@pytest.mark.parametrize("griffin_lim", [0, 2])
def test_a_whole_synthesis_stays_on_the_device(
    vocoder: Vocoder, gpu: torch.device, frames: list[int], griffin_lim: int
) -> None:
    """But for two looks, at the mel and at the result."""
    object.__setattr__(vocoder, "network", tiny())
    vocoder._engines["float32"] = Engine(PreparedNetwork.prepare(vocoder.network, torch.float32), Direct(1, ByHand()))
    for tables in (vocoder._prior_gains, vocoder._no_iterations):
        tables.to(gpu)
    with (
        patch("wavegrad.vocoder.vocoder.check_mel"),
        patch("torch.isfinite", lambda x: SimpleNamespace(all=lambda: True)),
    ):
        audio = vocoder(torch.empty(2, vocoder.n_mels, 5), SCHEDULE, frames=frames, griffin_lim=griffin_lim)
    assert (audio.device, audio.dtype, audio.shape) == (gpu, torch.float32, (2, 5 * vocoder.hop_length))


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (StreamOptions(), {}),
        (StreamOptions(pipeline_frames=4), {"upsampling": "linear", "downsampling": "linear"}),
        (StreamOptions(lookahead_frames=2), {}),
    ],
    ids=str,
)
def test_a_stream_stays_on_the_device(
    vocoder: Vocoder, gpu: torch.device, options: StreamOptions, fields: dict[str, object]
) -> None:
    """But for looks at the predictions; both its ends, where what lies outside the signal is cleared, included."""
    tables = (vocoder._prior_gains, vocoder._consistency(2))
    for table in tables:
        table.to(gpu)
    model = StreamModel(StreamLayers.prepare(tiny(**fields), torch.bfloat16), vocoder.mel_config, *tables)
    stream = VocoderStream(model, STEPS, [1, 2], options)
    with patch("torch.isfinite", lambda x: SimpleNamespace(all=lambda: True)):
        pieces = [*(stream.push(torch.empty(2, vocoder.n_mels, n)) for n in (1, 30)), stream.finish()]
    assert {(piece.device, piece.dtype, len(piece)) for piece in pieces} == {(gpu, torch.float32, 2)}
    assert sum(piece.shape[1] for piece in pieces) == 31 * vocoder.hop_length
