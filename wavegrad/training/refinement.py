"""The loss of what the network itself makes of mels in a few steps."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel import MelSpectrogram
from wavegrad.audio.prior import colour
from wavegrad.audio.spectral_distance import SpectralDistance
from wavegrad.diffusion import NoiseSchedule, Sampler, default_sampler
from wavegrad.diffusion.samplers.static_walk import StaticWalk, noise_indices
from wavegrad.inference.film import OneLevel
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, Waveform
from wavegrad.training.recipe import Recipe
from wavegrad.training.step import Example
from wavegrad.vocoder.schedules import generic_schedule

LIMIT = 10.0
"""Standard deviations of the noise; one sample in 10^23 lies beyond."""
DRAWS = 2
"""Of each mel: the energy distance compares them with each other."""


@dataclass(frozen=True)
class RefinementDraws:
    """What is drawn for the crops of a step, or of a part of it, that are made."""

    n_steps: int
    """Refinement steps."""
    items: slice
    """Which crops are made."""
    noises: Float[Tensor, "items draws indices time"]
    """In the order of `noise_indices`."""
    n_items: int
    """Crops that are made in the whole step."""

    def part(self, chosen: slice) -> "RefinementDraws":
        """Those among these items of the batch."""
        every = self.items.step
        first, last = (-(-item // every) for item in (chosen.start, chosen.stop))
        return replace(self, items=slice(first * every - chosen.start, None, every), noises=self.noises[first:last])


class RefinementLoss:
    """How far what the network makes of mels is from the recordings (InferGrad, Chen et al. 2022, arXiv 2202.03751):
    the energy distance of their spectrograms, plus `mel_weight` times the mean distance of the mels, in nepers.
    Gradients go through all steps.

    Differs from InferGrad, whose loss is a distance of the magnitudes of one draw to the recording: the energy distance
    is smallest where draws vary as recordings do, not where all are the same smooth one. What they must not vary in is
    the mel, which they are told.

    A network that has hardly been trained runs away, so its predictions are held within LIMIT here.
    """

    def __init__(self, recipe: Recipe):
        self.recipe = recipe.refinement
        mel = recipe.model.mel_config()
        self._distance = SpectralDistance(mel.sample_rate)
        self._log_mel = MelSpectrogram(mel)
        self.ways: dict[int, tuple[Sampler, NoiseSchedule]] = {
            n: (default_sampler(n), generic_schedule(n, recipe.model.prior)) for n in self.recipe.steps
        }
        self._indices = {n: noise_indices(*way) for n, way in self.ways.items()}

    def passes(self, batch_size: int) -> float:
        """Crops that go through the network for it, for each crop of a batch, on average over the training steps."""
        calls = [sampler.n_calls(schedule) for sampler, schedule in (self.ways[n] for n in self.recipe.steps)]
        return DRAWS * sum(calls) / len(calls) * self._n_items(batch_size) / batch_size

    def draw(self, step: int, batch_size: int, n_samples: int, generator: torch.Generator) -> RefinementDraws:
        """Noise of a whole training step, on the device of the generator."""
        n_steps = self.recipe.steps[step % len(self.recipe.steps)]
        n_items = self._n_items(batch_size)
        shape = n_items, DRAWS, len(self._indices[n_steps]), n_samples
        noises = torch.randn(shape, generator=generator, device=generator.device)
        return RefinementDraws(n_steps, slice(0, None, self.recipe.every), noises, n_items)

    def __call__(self, network: WaveGrad, example: Example, draws: RefinementDraws) -> Float[Tensor, ""]:
        """The part that these crops have in the mean of the step; 0 where none of them is made."""
        if not len(draws.noises):
            return example.y_0.new_zeros(())
        first, second = self.make(network, example, draws)
        with torch.autocast(first.device.type, enabled=False):
            gains = None if example.gains is None else example.gains[draws.items]
            reference = colour(example.y_0[draws.items], gains)
            wanted = self._mel(reference)
            missed = [(self._mel(made) - wanted).abs().mean((1, 2)) for made in (first, second)]
            energy = self._distance.energy(reference, first, second)
            of_items = energy + self.recipe.mel_weight * 0.5 * (missed[0] + missed[1])
            return of_items.sum() / draws.n_items

    def make(self, network: WaveGrad, example: Example, draws: RefinementDraws) -> tuple[Waveform, Waveform]:
        """Two waveforms of each of these crops, with their colour; gradients go through all steps."""
        mel = example.mel[draws.items].repeat(DRAWS, 1, 1)
        sampler, schedule = self.ways[draws.n_steps]
        noises = draws.noises.transpose(0, 1).flatten(0, 1).unbind(1)
        by_index = dict(zip(self._indices[draws.n_steps], noises, strict=True))

        def predict(y: Waveform, noise_level: OneLevel) -> Waveform:
            return network(y, mel, noise_level.expand(len(y))).to(y.dtype).clamp(-LIMIT, LIMIT)

        y_0 = sampler.refine(StaticWalk(predict, schedule, by_index.__getitem__))
        with torch.autocast(y_0.device.type, enabled=False):
            gains = None if example.gains is None else example.gains[draws.items].repeat(DRAWS, 1, 1)
            first, second = colour(y_0, gains).chunk(DRAWS)
        return first, second

    def _n_items(self, batch_size: int) -> int:
        return -(-batch_size // self.recipe.every)

    def _mel(self, waveforms: Waveform) -> Mel:
        """In nepers: what a convention adds and multiplies must not count."""
        config = self._log_mel.config
        return self._log_mel.to(waveforms.device)(waveforms) / (config.scale * config.units_per_neper)
