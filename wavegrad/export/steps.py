"""The refinement steps as ONNX nodes."""

from collections.abc import Sequence

from wavegrad.diffusion import LinearStep
from wavegrad.export.graph import Graph
from wavegrad.export.network import NetworkGraph


def refined(g: Graph, network: NetworkGraph, mel: str, noise: str, steps: Sequence[LinearStep]) -> str:
    """The steps of a sampler, from N down to 1: `batch n_mels frames` and `N batch time` -> `batch time`."""
    features = network.mel_features(mel)
    y, clean = _row(g, noise, 0), ""
    for k, step in enumerate(steps, start=1):
        predicted = network.predict(y, features, g.constant([step.noise_level]))
        terms = [(y, step.of_state), (predicted, step.of_prediction)]
        if step.of_previous:
            terms.append((clean, step.of_previous))
        if step.of_noise:
            terms.append((_row(g, noise, k), step.of_noise))
        if k < len(steps) and steps[k].of_previous:
            clean = _clean(g, y, predicted, step.noise_level)
        y = _weighted_sum(g, terms)
    return y


def _clean(g: Graph, y: str, predicted: str, level: float) -> str:
    """The y_0 of a prediction (DDPM, Ho et al. 2020, eq. 15)."""
    return _weighted_sum(g, [(y, 1 / level), (predicted, -((1 - level**2) ** 0.5) / level)])


def _weighted_sum(g: Graph, terms: Sequence[tuple[str, float]]) -> str:
    return g.op("Sum", *(g.op("Mul", value, g.constant(weight)) for value, weight in terms))


def _row(g: Graph, values: str, k: int) -> str:
    return g.op("Squeeze", g.slice(values, 0, k, k + 1), g.constant([0]))
