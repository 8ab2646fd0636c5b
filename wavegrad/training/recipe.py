"""What a training run is: every choice of it, typed, with its unit and its default."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from wavegrad.audio.consistency import check_iterations
from wavegrad.config import apply_overrides, from_dict, load_toml
from wavegrad.diffusion.discrete import sub_schedules
from wavegrad.diffusion.schedule import NoiseSchedule
from wavegrad.diffusion.training_schedules import ScheduleKind, training_schedule
from wavegrad.errors import ConfigError, unknown
from wavegrad.network import WaveGradConfig
from wavegrad.training.model_recipe import ModelRecipe
from wavegrad.training.refinement_recipe import RefinementRecipe
from wavegrad.vocoder.schedules import standard_schedules


@dataclass(frozen=True)
class ScheduleRecipe:
    """The training schedule, whose noise levels bound the intervals of Algorithm 1."""

    kind: ScheduleKind = "linear"
    """"linear" is the paper's; "quadratic": square roots of the betas evenly spaced; "cosine": Nichol and Dhariwal
    2021; "sigmoid": Chen 2023."""
    beta_1: float = 1e-6
    """First beta, of "linear" and "quadratic". The paper: Linear(1e-6, 0.01, 1000)."""
    beta_n: float = 0.01
    """Last beta, of "linear" and "quadratic"."""
    n_steps: int = 1000
    """Number of intervals, S."""

    def __post_init__(self) -> None:
        if self.kind in ("cosine", "sigmoid") and (self.beta_1, self.beta_n) != (1e-6, 0.01):
            raise ConfigError(f"beta_1 and beta_n say nothing to a {self.kind} schedule; leave them out")
        self.schedule()

    def schedule(self) -> NoiseSchedule:
        return training_schedule(self.kind, self.n_steps, self.beta_1, self.beta_n)


@dataclass(frozen=True)
class ObjectiveRecipe:
    """What the network is told, and what it learns to say; the defaults are WaveGrad's."""

    conditioning: Literal["level", "index"] = "level"
    """"level": the network is told sqrt(alpha_bar), drawn from the whole range. "index": it is told the step n of the
    training schedule, and is trained and sampled at those levels only (DDPM; the paper's ablation)."""
    condition_dropout: float = 0.0
    """Probability that a crop's mel is replaced by the learned "no condition" (Ho and Salimans 2022: 0.1 to 0.2); above
    0 the model can be guided."""
    learned_variance: bool = False
    """The network learns the variance of its steps as well: L_hybrid of Nichol and Dhariwal 2021."""
    vlb_weight: float = 0.001
    """Lambda of L_hybrid, for learned variances."""
    level_sampling: Literal["uniform", "importance"] = "uniform"
    """"uniform": Algorithm 1. "importance": steps with large losses more often, with smaller weights (Nichol and
    Dhariwal 2021, eq. 18)."""

    def __post_init__(self) -> None:
        if not 0 <= self.condition_dropout < 1:
            raise ConfigError(f"condition_dropout is {self.condition_dropout}; it must lie in [0, 1)")
        if not 0 < self.vlb_weight < math.inf:
            raise ConfigError(f"vlb_weight is {self.vlb_weight}; it must be above 0 and finite")


@dataclass(frozen=True)
class DataRecipe:
    """Crops of the corpus."""

    crop_frames: int = 24
    """Length of a training crop, frames. The paper's Base: 24 (0.3 s), Large: 60."""
    batch_size: int = 32
    """Crops of one step, over all micro-batches. The paper: 256."""
    gain_db: tuple[float, float] = (-15.0, 10.0)
    """Random gain of each crop is uniform in this range, dB; kept so low that no sample leaves [-1, 1]. (0, 0):
    none."""
    valid_clips: int = 12
    """Without a folder of validation clips, this many clips are held out, chosen by a hash of their names."""
    shards: bool = False
    """Read WebDataset shards (tar files, written by `wavegrad prepare --shards`) instead of a folder of audio files,
    for corpora larger than memory or disk. A step then takes the next crops of a shuffled stream, in which every clip
    comes once an epoch, whatever its length."""
    shuffle_clips: int = 1000
    """Shards only: clips among which a worker picks the next one."""
    crops_per_clip: int = 1
    """Shards only: crops of a clip each time it is read; more need less reading, and make the crops of a step more
    alike."""
    min_seconds: float = 0.1
    """Shorter clips are skipped and named."""
    silence_db: float = -70.0
    """Clips whose peak stays below this level, dBFS, are skipped and named."""

    def __post_init__(self) -> None:
        if self.crop_frames < 1 or self.batch_size < 1:
            raise ConfigError(
                f"crop_frames is {self.crop_frames}, batch_size {self.batch_size}; both must be 1 or more"
            )
        if self.shuffle_clips < 1 or self.crops_per_clip < 1:
            raise ConfigError(
                f"shuffle_clips is {self.shuffle_clips}, crops_per_clip {self.crops_per_clip}; both must be 1 or more"
            )
        if not -math.inf < self.gain_db[0] <= self.gain_db[1] < math.inf:
            raise ConfigError(
                f"gain_db runs from {self.gain_db[0]} to {self.gain_db[1]}; both must be finite, and the first not the "
                "larger"
            )
        if self.valid_clips < 0 or not 0 <= self.min_seconds < math.inf or self.silence_db > 0:
            raise ConfigError(
                f"valid_clips is {self.valid_clips}, min_seconds {self.min_seconds}; both must be 0 or more, "
                f"min_seconds finite, and silence_db, {self.silence_db}, at most 0"
            )


@dataclass(frozen=True)
class OptimizerRecipe:
    """Adam, its learning rate over time, and the averaged weights. The paper states none of these."""

    name: Literal["adam", "adamw"] = "adamw"
    """AdamW decouples the weight decay from the gradient."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the first and second moments."""
    weight_decay: float = 0.0
    """Weight decay."""
    warmup_steps: int = 500
    """Steps of linear warm-up."""
    decay: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: "cosine" falls to `final_rate` at the last step, "constant" stays."""
    final_rate: float = 0.02
    """Share of the peak learning rate that is left at the last step."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm. Public code: 1.0."""
    ema_decay: float = 0.999
    """Decay of the exponential moving average of the weights; shorter at the start: min(decay, (1 + step) / (10 +
    step))."""
    loss: Literal["l1", "l2"] = "l1"
    """Norm of the noise loss: "l1" is WaveGrad's, "l2" DDPM's (the paper's ablation)."""

    def __post_init__(self) -> None:
        if not (
            0 < self.learning_rate < math.inf
            and self.clip_norm > 0
            and 0 <= self.ema_decay < 1
            and 0 <= self.final_rate <= 1
        ):
            raise ConfigError(
                f"learning_rate {self.learning_rate} and clip_norm {self.clip_norm} must be > 0, the first one finite, "
                f"ema_decay {self.ema_decay} in [0, 1), final_rate {self.final_rate} in [0, 1]"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ConfigError(f"betas are {list(self.betas)}; both must lie in [0, 1)")
        if not 0 <= self.weight_decay < math.inf or self.warmup_steps < 0:
            raise ConfigError(
                f"weight_decay is {self.weight_decay}, warmup_steps {self.warmup_steps}; both must be 0 or more, the "
                "first one finite"
            )


@dataclass(frozen=True)
class RunRecipe:
    """How long, how often, on what."""

    steps: int = 1_000_000
    """Optimiser steps of the whole run. The paper: about one million."""
    seed: int = 0
    """Seed of the weights, the crops and the noise; the run is a function of it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": the GPU where there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the network's arithmetic; weights and loss stay float32. "auto": bfloat16 where the device
    has units for it (`wavegrad.device.has_bfloat16`), else float32; it may be another on every machine that a run goes
    on."""
    corpus_on_device: bool = True
    """Keep the corpus where the network is, 2 bytes a sample (173 MB an hour at 24 kHz), and crop it there; false: in
    the memory of the host, for a corpus that does not fit on the GPU."""
    whole_mels: bool = False
    """Compute the mels of whole clips once, where the corpus is kept, another 4 * n_mels / hop_length bytes a sample;
    false: the mel of every crop anew."""
    prefetch: int = 1
    """Steps whose crops a thread draws ahead into pinned memory, where corpus and network are on different devices; 0:
    none."""
    workers: int = 2
    """Processes that read and decode shards, for each process that trains; 0: the one that trains does it."""
    channels_last: bool = True
    """Run the convolutions as 2-D ones over channels that are neighbours in memory; false: as plain 1-D ones."""
    tune_convolutions: bool = True
    """On a GPU: cuDNN times its kernels for each convolution of the first step, since all crops have one length; false:
    a rule chooses them. Not yet measured."""
    fused_film: bool = True
    """Run FiLM and the LeakyReLU behind it as one operation that keeps less for the backward pass; false: as the two
    that they are."""
    fused_optimizer: bool = True
    """One kernel for all parameters, and no wait of the host; false: PyTorch's plain optimiser."""
    compile: bool = False
    """Compile the network with torch.compile: not yet measured on a GPU; on CPUs it gained nothing."""
    accumulate: int = 1
    """Micro-batches per step and process; batch_size must be a multiple of it times the number of processes."""
    log_every: int = 20
    """Steps between two lines of log.jsonl."""
    validate_every: int = 1000
    """Steps between two validations."""
    checkpoint_every: int = 500
    """Steps between two checkpoints."""
    keep_checkpoints: int = 3
    """How many of the newest checkpoints stay."""
    half_model: bool = False
    """Store the models `last` and `best` in float16: half the size. Checkpoints stay float32."""
    valid_synthesis: int = 3
    """Clips that are synthesised at a validation."""
    valid_steps: int = 12
    """Refinement steps of that synthesis."""

    def __post_init__(self) -> None:
        counts = (
            "steps",
            "accumulate",
            "log_every",
            "validate_every",
            "checkpoint_every",
            "keep_checkpoints",
            "valid_steps",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        for name in ("seed", "prefetch", "workers", "valid_synthesis"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 0 or more")
        if self.seed >= 2**63:
            raise ConfigError(f"seed is {self.seed}; it must be below 2^63")


@dataclass(frozen=True)
class Recipe:
    """A training run."""

    model: ModelRecipe
    schedule: ScheduleRecipe = ScheduleRecipe()
    objective: ObjectiveRecipe = ObjectiveRecipe()
    refinement: RefinementRecipe = RefinementRecipe()
    data: DataRecipe = DataRecipe()
    optimizer: OptimizerRecipe = OptimizerRecipe()
    run: RunRecipe = field(default_factory=RunRecipe)

    def __post_init__(self) -> None:
        if self.data.batch_size % self.run.accumulate:
            raise ConfigError(
                f"batch_size {self.data.batch_size} is not a multiple of run.accumulate {self.run.accumulate}"
            )
        self.network_config()
        check_iterations(self.model.griffin_lim, self.model.mel_config())
        indexed = self.objective.conditioning == "index"
        if indexed and self.refinement.weight:
            raise ConfigError('refinement.weight needs objective.conditioning "level": its schedules have other levels')
        names = sub_schedules(self.schedule.schedule()) if indexed else standard_schedules(self.model.prior)
        if self.model.default_schedule not in names:
            raise ConfigError(unknown("default_schedule", self.model.default_schedule, names))

    def network_config(self) -> WaveGradConfig:
        """The network of the model, with the outputs and inputs that the objective needs."""
        indexed = self.objective.conditioning == "index"
        return replace(
            self.model.network_config(),
            step_levels=tuple(self.schedule.schedule().noise_levels.tolist()[1:]) if indexed else None,
            learned_variance=self.objective.learned_variance,
            null_condition=self.objective.condition_dropout > 0,
        )


def load_recipe(path: str, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe file, strictly; `overrides` are "section.key=value" strings.

    Raises:
        ConfigError: a file that is not TOML, an unknown or missing key, a wrong type or a value that makes no sense.
    """
    return from_dict(Recipe, apply_overrides(load_toml(path), overrides or [], path), path)
