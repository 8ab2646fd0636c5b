"""Predictors that are known exactly, and every sampler."""

import torch

from wavegrad.diffusion import DDIM, SAMPLERS, Ancestral, PredictorCorrector, Sampler

F64 = torch.float64

SAMPLERS_AND_VARIANTS: dict[str, Sampler] = {
    **SAMPLERS,
    "ancestral, beta": Ancestral(variance="beta"),
    "ancestral, analytic": Ancestral(variance="analytic"),
    "ddim, eta 0.5": DDIM(eta=0.5),
    "ddim, eta 1": DDIM(eta=1.0),
    "3 corrections": PredictorCorrector(n_corrections=3, snr=0.3),
}
DETERMINISTIC = ("ddim", "dpm++1s", "dpm++2s", "dpm++2m", "heun")
BY_WHOLE_ITEMS = ("ancestral, analytic", "predictor-corrector", "3 corrections")
"""Those whose steps depend on means over an item."""


def oracle(y_0: torch.Tensor):
    """The exact noise of a known clip."""

    def predict_noise(y, level):
        return (y - level[:, None] * y_0) / (1 - level[:, None] ** 2).sqrt()

    return predict_noise


def gaussian(std: float, mean: float = 0.0):
    """E[epsilon | y], for data N(mean, std^2)."""
    return mixture([(1.0, mean, std)])


def mixture(parts: list[tuple[float, float, float]]):
    """E[epsilon | y], for data that are N(mean, std^2) with a given weight: parts of (weight, mean, std)."""

    def predict_noise(y, level):
        signal = level[:, None] ** 2
        gaps = [y - level[:, None] * mean for _, mean, _ in parts]
        variances = [signal * std**2 + 1 - signal for _, _, std in parts]
        logs = [
            torch.log(weight / v.sqrt()) - gap**2 / (2 * v)
            for (weight, _, _), gap, v in zip(parts, gaps, variances, strict=True)
        ]
        shares = torch.softmax(torch.stack(logs), 0)
        slopes = torch.stack([gap / v for gap, v in zip(gaps, variances, strict=True)])
        return (1 - signal).sqrt() * (shares * slopes).sum(0)

    return predict_noise
