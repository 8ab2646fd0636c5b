"""All steps of a sampler as one CUDA graph for each length bucket: the processor launches once for each utterance.

Noise is a function of seed, index and sample, so it can be drawn before the walk: it is an input of the graph, like the
mel's part of the network. What a graph cannot hold takes the way step by step (`Engine.bind`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from wavegrad.diffusion import Ancestral, NoiseSchedule, Sampler, seeded_noise
from wavegrad.diffusion.noise import Draws
from wavegrad.diffusion.samplers.static_walk import StaticWalk, noise_indices
from wavegrad.diffusion.schedule import warn_of_terminal_level
from wavegrad.inference.engine import Engine
from wavegrad.inference.film import OneLevel
from wavegrad.inference.graphs import bucket
from wavegrad.inference.prepared import Condition
from wavegrad.shapes import Mel, Waveform

MAX_CALLS = 50
"""Network calls in a graph: each is some hundred kernels to record."""


def sample_at_once(
    engine: Engine, sampler: Sampler, schedule: NoiseSchedule, mel: Mel, frames: Sequence[int], seeds: Sequence[int]
) -> Waveform | None:
    """y_0 as `sampler` makes it of `engine.bind(mel, frames)`, beyond the ends of items zeros.

    Args:
        engine: of a network whose only condition is the mel and the noise level.
        sampler, schedule: one graph for each pair.
        mel: `batch n_mels frames`.
        frames: of each item.
        seeds: of each item.

    Returns:
        `batch time`, float32; None where the way is step by step: no graphs, a sampler that takes means over an item, a
        learned variance, too many calls, or a prediction that is not finite, which that way reports with its step.

    Warns:
        ScheduleWarning: as the sampler.
    """
    if engine.graphs is None or not sampler.is_local or sampler.n_calls(schedule) > MAX_CALLS:
        return None
    if isinstance(sampler, Ancestral) and sampler.variance == "learned":
        return None
    if sampler.data_std == 1:
        warn_of_terminal_level(schedule)
    hop, n_frames = engine.network.config.hop_length, mel.shape[2]
    padded = bucket(n_frames + 1)  # so that there always are masks
    condition = engine.condition(F.pad(mel, (0, padded - n_frames)), frames)
    indices = noise_indices(sampler, schedule)
    draws = seeded_noise(seeds, mel.device).draws(indices, padded * hop)
    draws.mul_(_inside(condition))  # the state stays zero beyond the end of an item

    def walk(inputs: tuple[Draws, Condition]) -> Waveform:
        noises, condition = dict(zip(indices, inputs[0], strict=True)), inputs[1]
        inside = _inside(condition)

        def predict(y: Waveform, noise_level: OneLevel) -> Waveform:
            predicted = engine.network.step(y, condition, engine.network.levels(noise_level))
            return (predicted * inside).to(y.dtype)

        return sampler.refine(StaticWalk(predict, schedule, noises.__getitem__))

    y_0 = engine.graphs.run((sampler, schedule.betas, draws.shape), walk, (draws, condition))[:, : n_frames * hop]
    return y_0 if torch.isfinite(y_0).all() else None


def _inside(condition: Condition) -> Waveform:
    """1 inside an item, 0 beyond its end."""
    mask = condition.ends[-1].mask
    assert mask is not None
    return mask[:, :, 0]
