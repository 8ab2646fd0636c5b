"""ONNX files: one network call, or a whole synthesis."""

import json
from dataclasses import asdict

from wavegrad.audio import MelConsistency
from wavegrad.diffusion import NoiseSchedule, Sampler, choose_sampler, linear_steps, sampler_name
from wavegrad.export.consistency import consistent
from wavegrad.export.graph import Graph, Shape
from wavegrad.export.network import NetworkGraph
from wavegrad.export.prior import colour, gains
from wavegrad.export.steps import refined
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


def synthesis(
    vocoder: Vocoder,
    schedule: NoiseSchedule | str | int | None = None,
    griffin_lim: int | None = None,
    sampler: Sampler | str | None = None,
) -> bytes:
    """A whole synthesis: N steps, the prior and Griffin-Lim. Inputs `mel` (batch, n_mels, frames) and `noise` (N,
    batch, samples); output `audio` (batch, samples), samples = frames * hop_length, one frame or more.

    The steps are `LinearStep`s: noise[0] is y_N, and noise[k] the z of the step that gives y_{N-k}. They are standard
    normal numbers, or `SeededNoise` of steps N ... 1 for the audio that a CPU makes of a seed. A deterministic sampler
    (dpm++1s, dpm++2m, ddim) reads noise[0] alone; what the others hold does not matter. The network is written out N
    times, its weights are stored once.

    Args:
        vocoder: what to write.
        schedule, griffin_lim, sampler: as in a call of it, and so left out: dpm++2m for up to 5 steps, then ancestral.

    Raises:
        ConfigError: as in a call; or a sampler that is not `is_linear`.
    """
    chosen = vocoder.find_schedule(schedule)
    walk = choose_sampler(sampler, None, chosen.n_steps)
    steps = linear_steps(walk, chosen)
    consistency = MelConsistency(vocoder.mel_config, vocoder.griffin_lim if griffin_lim is None else griffin_lim)
    graph = Graph()
    y = refined(graph, NetworkGraph(graph, vocoder.to("cpu").network), "mel", "noise", steps)
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
        "sampler": sampler_name(walk),
        "griffin_lim": str(consistency.n_iter),
    }
    return graph.model(inputs, (y, "audio", ("batch", "samples")), _metadata(vocoder) | metadata)


def _metadata(vocoder: Vocoder) -> dict[str, str]:
    return {
        "format": "wavegrad-onnx-1",
        "sample_rate": str(vocoder.sample_rate),
        "hop_length": str(vocoder.hop_length),
        "mel": json.dumps(asdict(vocoder.mel_config)),
    }
