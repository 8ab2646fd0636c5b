"""Validation: the same clips, noise levels and seeds every time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import WavegradError
from wavegrad.evaluation import evaluate_clip, find_metrics
from wavegrad.network import WaveGrad
from wavegrad.training.data import Clip, CropSampler
from wavegrad.training.recipe import Recipe
from wavegrad.training.refinement import RefinementLoss
from wavegrad.training.step import Preprocessor, loss_at
from wavegrad.vocoder import Vocoder

LEVELS = (0.999, 0.99, 0.95, 0.85, 0.7, 0.5, 0.3, 0.1)
"""sqrt(alpha_bar) at which the noise loss is measured."""
N_CROPS = 32
"""Crops that the noise loss is measured on."""


@dataclass(frozen=True)
class Validation:
    """Figures of one validation, and the clips that were synthesised for it."""

    losses: dict[float, float]
    """L1 noise loss by noise level."""
    refinement: dict[int, float]
    """Refinement loss by its number of steps; none where the recipe has no such loss."""
    refinement_weight: float
    log_mel_db: float
    """Mean log-mel distance of the synthesised clips, dB; NaN where there is none, or one could not be measured."""
    audio: dict[str, Float[Tensor, " time"]]
    unmeasured: dict[str, str]
    """Clips whose synthesis could not be measured, and why."""

    @property
    def loss(self) -> float:
        """Mean over the noise levels, plus the weighted mean of the refinement losses: what "best" is judged by."""
        return _mean(self.losses) + (self.refinement_weight * _mean(self.refinement) if self.refinement else 0.0)

    def __str__(self) -> str:
        distance = "" if math.isnan(self.log_mel_db) else f", log-mel distance {self.log_mel_db:.2f} dB"
        reasons = "".join(f"; no log-mel distance, {name}: {why}" for name, why in list(self.unmeasured.items())[:1])
        refined = "".join(f", refinement in {n} steps {loss:.4f}" for n, loss in self.refinement.items())
        return f"validation loss {self.loss:.4f}{refined}{distance}{reasons}"

    def record(self) -> dict[str, float]:
        by_level = {f"loss_at_{level:g}": loss for level, loss in self.losses.items()}
        refined = {f"refinement_{n}": loss for n, loss in self.refinement.items()}
        return {"loss": self.loss, **by_level, **refined, "log_mel_db": self.log_mel_db}


class Validator:
    """Holds the fixed crops and clips."""

    def __init__(self, recipe: Recipe, clips: list[Clip], preprocess: Preprocessor):
        data = replace(recipe.data, batch_size=N_CROPS, gain_db=(0.0, 0.0))
        self._example = preprocess(CropSampler(clips, recipe.model.mel_config(), data, seed=0).draw(0))
        self._clips = clips[:: max(1, len(clips) // max(1, recipe.run.valid_synthesis))][: recipe.run.valid_synthesis]
        self._n_steps = recipe.run.valid_steps
        refinement = replace(recipe.refinement, every=1)
        self._refinement = RefinementLoss(replace(recipe, refinement=refinement)) if refinement.weight else None

    def __call__(self, network: WaveGrad, vocoder: Vocoder) -> Validation:
        """Losses of the network, and a few-step synthesis of the clips by the vocoder made of it."""
        audio: dict[str, Tensor] = {}
        distances: list[float] = []
        unmeasured: dict[str, str] = {}
        for clip in self._clips:
            reference = clip.pcm.float() / 32767
            try:
                generated = _synthesis(clip, vocoder, self._n_steps).cpu()
                figures = evaluate_clip(reference, generated, vocoder.sample_rate, find_metrics(["log_mel_db"]))
            except WavegradError as error:  # the network of the first steps may diverge; training goes on
                unmeasured[clip.name] = str(error)
                continue
            audio[clip.name] = generated
            distances.append(figures["log_mel_db"])
        mean = sum(distances) / len(distances) if distances and not unmeasured else math.nan
        refined = self.refinement_losses(network)
        weight = self._refinement.recipe.weight if self._refinement is not None else 0.0
        return Validation(self.losses(network), refined, weight, mean, audio, unmeasured)

    @torch.no_grad()
    def losses(self, network: WaveGrad) -> dict[float, float]:
        """Noise loss at each of LEVELS; the noise depends on the crop and the level only.

        A network that is told the index of a step is judged at the step nearest to the level.
        """
        return {level: self._loss(network, level) for level in LEVELS}

    @torch.no_grad()
    def refinement_losses(self, network: WaveGrad) -> dict[int, float]:
        """Refinement loss for each number of steps; the noise depends on crop and step only."""
        if self._refinement is None:
            return {}
        losses: dict[int, float] = {}
        n_items, n_samples = self._example.y_0.shape
        for turn, n_steps in enumerate(self._refinement.recipe.steps):
            if n_steps in losses:  # it has several turns
                continue
            draws = self._refinement.draw(turn, n_items, n_samples, torch.Generator().manual_seed(0))
            noises = draws.noises.to(self._example.y_0.device)
            losses[n_steps] = self._refinement(network, self._example, replace(draws, noises=noises)).item()
        return losses

    def _loss(self, network: WaveGrad, level: float) -> float:
        y_0 = self._example.y_0
        noise = torch.randn(y_0.shape, generator=torch.Generator().manual_seed(LEVELS.index(level))).to(y_0.device)
        level = min(network.config.step_levels or (level,), key=lambda known: abs(known - level))
        return loss_at(network, self._example, torch.full((len(noise),), level, device=noise.device), noise).item()


def _mean(losses: Mapping[Any, float]) -> float:
    return sum(losses.values()) / len(losses)


def _synthesis(clip: Clip, vocoder: Vocoder, n_steps: int) -> Float[Tensor, " time"]:
    """The clip from its mel, the one it came with, or else its own; Griffin-Lim would hide what the network does."""
    if clip.mel is None:
        return vocoder.resynthesize(clip.pcm.float() / 32767, schedule=n_steps, seed=0, griffin_lim=0)
    return vocoder(clip.mel, schedule=n_steps, seed=0, length=len(clip.pcm), griffin_lim=0)
