"""ONNX files: one network call, or a whole synthesis."""

import json
from dataclasses import asdict

from wavegrad.audio import MelConsistency
from wavegrad.diffusion import NoiseSchedule
from wavegrad.export.consistency import consistent
from wavegrad.export.graph import Graph, Shape
from wavegrad.export.network import NetworkGraph
from wavegrad.export.prior import colour, gains
from wavegrad.vocoder import Vocoder


def network_step(vocoder: Vocoder) -> bytes:
    """epsilon_theta: inputs `y` (batch, samples), `mel` (batch, n_mels, frames), `noise_level` (batch); output
    `noise` (batch, samples)."""
    graph = Graph()
    nodes = NetworkGraph(graph, vocoder.to("cpu").network)
    predicted = nodes.predict("y", nodes.mel_features("mel"), "noise_level")
    mel: Shape = ("batch", vocoder.n_mels, "frames")
    inputs = {"y": ("batch", "samples"), "mel": mel, "noise_level": ("batch",)}
    return graph.model(inputs, (predicted, "noise", ("batch", "samples")), _metadata(vocoder))


def sampler(
    vocoder: Vocoder, schedule: NoiseSchedule | str | int | None = None, griffin_lim: int | None = None
) -> bytes:
    """WaveGrad's Algorithm 2, all N steps, the prior and Griffin-Lim: inputs `mel` (batch, n_mels, frames) and `noise`
    (N, batch, samples); output `audio` (batch, samples), samples = frames * hop_length, one frame or more.

    noise[0] is y_N, and noise[k] the z of the step that gives y_{N-k}: standard normal numbers, or `SeededNoise` of
    steps N ... 1 for the audio that a CPU makes of a seed. The network is written out N times, its weights are stored
    once.

    Args:
        vocoder: what to write.
        schedule, griffin_lim: as in a call of it.

    Raises:
        ConfigError: as in a call.
    """
    chosen = vocoder.find_schedule(schedule)
    consistency = MelConsistency(vocoder.mel_config, vocoder.griffin_lim if griffin_lim is None else griffin_lim)
    graph = Graph()
    nodes = NetworkGraph(graph, vocoder.to("cpu").network)
    features = nodes.mel_features("mel")
    y = _noise(graph, 0)
    for k, (level, scale, predicted_scale, sigma) in enumerate(_coefficients(chosen), start=1):
        predicted = nodes.predict(y, features, graph.constant([level]))
        y = graph.op("Mul", y, graph.constant(scale))
        y = graph.op("Sub", y, graph.op("Mul", predicted, graph.constant(predicted_scale)))
        if sigma > 0:
            y = graph.op("Add", y, graph.op("Mul", _noise(graph, k), graph.constant(sigma)))
    if vocoder.prior.kind != "standard":
        y = colour(graph, y, gains(graph, "mel", vocoder.mel_config, vocoder.prior), vocoder.hop_length)
    if consistency.n_iter:
        y = consistent(graph, y, "mel", consistency)
    inputs: dict[str, Shape] = {
        "mel": ("batch", vocoder.n_mels, "frames"),
        "noise": (chosen.n_steps, "batch", "samples"),
    }
    metadata = {
        "schedule": json.dumps(chosen.to_dict()),
        "n_steps": str(chosen.n_steps),
        "griffin_lim": str(consistency.n_iter),
    }
    return graph.model(inputs, (y, "audio", ("batch", "samples")), _metadata(vocoder) | metadata)


def _coefficients(schedule: NoiseSchedule) -> list[tuple[float, float, float, float]]:
    """Of steps N ... 1: sqrt(alpha_bar_n); 1 / sqrt(alpha_n); beta_n / sqrt((1 - alpha_bar_n) alpha_n); sigma_n."""
    alphas, bars = schedule.alphas.tolist(), [1.0, *schedule.alpha_bars.tolist()]
    rows = []
    for n in range(schedule.n_steps, 0, -1):
        alpha, bar, inner = alphas[n - 1], bars[n], bars[n - 1]
        predicted = (1 - alpha) / (1 - bar) ** 0.5 / alpha**0.5
        rows.append((bar**0.5, alpha**-0.5, predicted, ((1 - inner) / (1 - bar) * (1 - alpha)) ** 0.5))
    return rows


def _noise(graph: Graph, k: int) -> str:
    return graph.op("Squeeze", graph.slice("noise", 0, k, k + 1), graph.constant([0]))


def _metadata(vocoder: Vocoder) -> dict[str, str]:
    return {
        "format": "wavegrad-onnx-1",
        "sample_rate": str(vocoder.sample_rate),
        "hop_length": str(vocoder.hop_length),
        "mel": json.dumps(asdict(vocoder.mel_config)),
    }
