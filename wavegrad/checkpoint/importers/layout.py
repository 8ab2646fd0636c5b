"""What an importer knows of one other implementation, and what it finds in one of its checkpoints."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wavegrad.audio.mel import MelConfig
from wavegrad.diffusion import NoiseSchedule
from wavegrad.network.config import Dilations
from wavegrad.network.conv import Resampling

REVERSED_DILATIONS: tuple[Dilations, ...] = ((1, 2, 1, 2),) * 2 + ((1, 2, 4, 8),) * 3
"""Of the UBlocks; the paper has 1, 2, 4, 8 in the first three and 1, 2, 1, 2 in the last two."""


@dataclass(frozen=True)
class Source:
    """How a checkpoint was trained: what its weights do not tell."""

    mel_config: MelConfig
    factors: tuple[int, ...]
    training_schedule: NoiseSchedule
    ublock_dilations: tuple[Dilations, ...] = REVERSED_DILATIONS
    dblock_dilations: tuple[int, int, int] = (1, 2, 4)


@dataclass(frozen=True)
class Layout:
    """Another implementation: the names of its layers, and where it differs from the paper."""

    repository: str
    """Owner and name of the public code."""
    prefix: str
    """In front of the name of every weight of the network."""
    signature: str
    """A layer, without the prefix, that only this implementation has."""
    layers: Callable[[int], dict[str, tuple[str, ...]]]
    """For a number of levels: our layers -> theirs; where there are two, ours has the outputs of both in turn."""
    shift_first: bool
    """Whether the FiLM gives (shift, scale) where ours gives (scale, shift)."""
    resampling: Resampling
    """How UBlocks and DBlocks resample; the paper repeats in the former and strides in the latter."""
    level_scale: float
    """C of the noise embedding."""
    ignored: frozenset[str]
    """Names of tensors that are no weights."""
    obsolete: Mapping[str, str]
    """Endings of names that tell of an older version which is not supported -> why not."""
    describe: Callable[[Mapping[str, Any], Path, Path | None, tuple[int, ...] | None], Source]
    """Checkpoint, its path, file of the training configuration, factors -> Source."""
    remark: str
    """For the model card: what else differs from the paper."""
