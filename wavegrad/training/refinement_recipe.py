"""What a recipe says about training on the network's own refinements."""

import math
from dataclasses import dataclass

from wavegrad.errors import ConfigError


@dataclass(frozen=True)
class RefinementRecipe:
    """Few-step refinement within training (InferGrad, Chen et al. 2022): the network learns from the audio it makes,
    too, and so repairs what few steps get wrong."""

    weight: float = 0.0
    """Of the distance of what is made to the recordings, beside the noise loss; 0: Algorithm 1 alone."""
    mel_weight: float = 1.0
    """Of the mels' part in that distance; the energy distance of the spectrograms counts once."""
    steps: tuple[int, ...] = (6,)
    """Refinement steps; with several, the training steps take turns. The schedule is that of a new model for so many
    steps (`generic_schedule`), the sampler the usual one (`default_sampler`)."""
    every: int = 4
    """One crop of so many is made, twice, with different noise. Each costs `steps` passes through the network, forth
    and back."""

    def __post_init__(self) -> None:
        for key in ("weight", "mel_weight"):
            if not 0 <= getattr(self, key) < math.inf:
                raise ConfigError(f"refinement.{key} is {getattr(self, key)}; it must be 0 or a positive number")
        if not self.steps or min(self.steps) < 1:
            raise ConfigError(f"refinement.steps is {list(self.steps)}; it must name one number of steps or more")
        if self.every < 1:
            raise ConfigError(f"refinement.every is {self.every}; it must be 1 or more")
