"""What changes while training, and the step that changes it."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wavegrad.config import to_dict
from wavegrad.device import autocast, choose_device, choose_precision
from wavegrad.diffusion.importance import LossHistory
from wavegrad.errors import CheckpointError, ConfigError, TrainingError
from wavegrad.network import WaveGrad
from wavegrad.training.data import Clip, CropSampler, context_samples
from wavegrad.training.ema import Ema
from wavegrad.training.fused_film import run_fused
from wavegrad.training.layout import run_channels_first, tuned_convolutions
from wavegrad.training.objective import Objective, ObjectiveOfNetwork, Targets
from wavegrad.training.optimizer import build_optimizer, learning_rate, load_optimizer, steps_taken, update
from wavegrad.training.prefetch import Draw, Prefetch
from wavegrad.training.recipe import Recipe
from wavegrad.training.shard_sampler import ShardSampler
from wavegrad.training.state import TrainingState
from wavegrad.training.step import Preprocessor
from wavegrad.training.world import World
from wavegrad.vocoder import Vocoder


@dataclass(frozen=True)
class StepReport:
    """Figures of one step, still on the device: to read one is to wait for the step."""

    loss: Float[Tensor, ""]
    gradient_norm: Float[Tensor, ""]
    """Before clipping."""
    learning_rate: float
    refinement: Float[Tensor, ""] | None
    """The refinement loss, which is in `loss` times its weight; None where the recipe has none."""

    def read(self) -> dict[str, float]:
        """All of them as numbers."""
        figures = {
            "loss": self.loss.item(),
            "gradient_norm": self.gradient_norm.item(),
            "learning_rate": self.learning_rate,
        }
        return figures if self.refinement is None else figures | {"refinement": self.refinement.item()}


@dataclass(frozen=True)
class Share:
    """What one micro-batch has in the losses of its step."""

    loss: Float[Tensor, ""]
    """All of it: what is learned from."""
    refinement: Float[Tensor, ""]
    """Of the refinement loss, without its weight."""
    of_items: Float[Tensor, " batch"]
    """Noise losses."""


class Trainer:
    """Network, averaged network, optimiser and step counter; randomness is a function of (seed, step).

    Every rank of a world has one. They start from the same weights, take their parts of the same batch, add up their
    gradients, and so stay equal.

    Args:
        recipe: what to train.
        clips: to train on.
        world: left out, this process alone.
        initialise: changes the network's first weights, in place.
        fingerprints: `Corpora.fingerprints`, which go into the snapshots.
    """

    def __init__(
        self,
        recipe: Recipe,
        clips: list[Clip] | ShardSampler,
        world: World | None = None,
        initialise: Callable[[WaveGrad], None] | None = None,
        fingerprints: dict[str, str] | None = None,
    ):
        mel = recipe.model.mel_config()
        self.world = world or World()
        self.n_parts = check_parts(recipe, self.world)
        self.recipe = recipe
        self.device = choose_device(recipe.run.device)
        self.precision = choose_precision(recipe.run.precision, self.device)
        self.objective = Objective(recipe)
        bank_device = self.device if recipe.run.corpus_on_device else torch.device("cpu")
        self.sampler = (
            clips
            if isinstance(clips, ShardSampler)
            else CropSampler(clips, mel, recipe.data, recipe.run.seed, bank_device, recipe.run.whole_mels)
        )
        self._draw: Draw = self.sampler.draw
        if recipe.run.prefetch and bank_device != self.device and isinstance(self.sampler, CropSampler):
            self._draw = Prefetch(self.sampler.draw, recipe.run.prefetch, pin=True)
        self.preprocess = Preprocessor(mel, recipe.model.prior, context_samples(mel), self.device)
        with torch.random.fork_rng(devices=[]):  # weights are drawn on the CPU
            torch.default_generator.manual_seed(recipe.run.seed)
            self.network = WaveGrad(recipe.network_config())
        if initialise is not None:
            initialise(self.network)
        self.network.to(self.device)
        self.ema = Ema(self.network, recipe.optimizer.ema_decay)
        self._loss_of = self._wrapped()
        self.optimizer = build_optimizer(self.network, recipe.optimizer, recipe.run.fused_optimizer)
        self.step = 0
        self.best_loss = float("inf")
        self.fingerprints = fingerprints
        self._place: dict[str, Any] | None = None
        self._broken = torch.zeros((), device=self.device)  # 1 from the first step on that was not finite
        importance = recipe.objective.level_sampling == "importance"
        self.history = LossHistory.empty(recipe.schedule.n_steps, self.device) if importance else None

    def train_step(self) -> StepReport:
        """One optimiser step over all micro-batches. The host does not wait for the device.

        A loss or gradient that is not finite changes nothing, nor does any step after it: the optimiser skips the
        update on the device, and `check` tells.
        """
        recipe = self.recipe.optimizer
        rate = learning_rate(self.step, self.recipe.run.steps, recipe)
        self.optimizer.zero_grad(set_to_none=True)
        losses = torch.zeros(2, device=self.device)  # all of it, refinement
        targets = self._targets()
        items = []
        for i in range(self.recipe.run.accumulate):
            exchange = contextlib.nullcontext() if i == self.recipe.run.accumulate - 1 else self._without_exchange()
            with exchange, tuned_convolutions(self.recipe.run.tune_convolutions):
                share = self._loss(targets, self.world.rank * self.recipe.run.accumulate + i, self.n_parts)
                (share.loss * self.world.size).backward()  # the exchange takes the mean over the ranks
            losses += torch.stack([share.loss, share.refinement]).detach()
            items.append(share.of_items)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        self.world.sum(losses)
        total, refinement = losses
        self._broken = torch.maximum(self._broken, (~(total + norm).isfinite()).float())
        update(self.optimizer, rate, skip=self._broken)
        self.ema.update(self.network, self.step, skip=self._broken)
        if self.history is not None:
            self.history = self.history.record(targets.steps, self.world.gather(torch.cat(items)))
        self.step += 1
        return StepReport(total, norm, rate, refinement if self.recipe.refinement.weight else None)

    def check(self, report: StepReport) -> None:
        """Wait for the device and see that all was finite up to this step. All ranks must.

        Raises:
            TrainingError: it was not; the weights are those from before the first bad step.
        """
        broken = bool(self._broken.item())
        if broken:
            self.step = steps_taken(self.optimizer)
        self._note_place()
        if broken:
            raise TrainingError(self._not_finite(report.loss.item(), report.gradient_norm.item()))

    def state(self) -> TrainingState:
        """A snapshot that `restore` takes; in a world of several ranks, that of the last `check`."""
        if self.world.size == 1:
            self._note_place()
        return TrainingState(
            self.step,
            to_dict(self.recipe),
            self.network.state_dict(),
            self.ema.network.state_dict(),
            self.optimizer.state_dict(),
            self.best_loss,
            None if self.history is None else self.history.losses,
            self._place,
            self.fingerprints,
            self.precision,
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a snapshot.

        Raises:
            CheckpointError: its weights do not fit the network of the recipe.
        """
        try:
            self.network.load_state_dict(state.network)
            self.ema.network.load_state_dict(state.ema)
            load_optimizer(self.optimizer, state.optimizer)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit the recipe: {' '.join(str(error).split())}") from error
        self.step = state.step
        self.best_loss = state.best_loss
        if self.history is not None and state.level_losses is not None:
            self.history = LossHistory(self.history.n_steps, state.level_losses.to(self.device))
        if isinstance(self.sampler, ShardSampler):
            self.sampler.go_on(state.place, self.step)

    def vocoder(self) -> Vocoder:
        """The averaged weights as a vocoder."""
        model = self.recipe.model
        return Vocoder(
            model.mel_config(),
            self.ema.network,
            model.prior,
            default_schedule=model.default_schedule,
            griffin_lim=model.griffin_lim,
        )

    def _note_place(self) -> None:
        if isinstance(self.sampler, ShardSampler):
            self._place = self.sampler.place(self.step, self.device)

    def _wrapped(self) -> nn.Module:
        """The loss as a function of what was drawn, in whose `forward` all use of the network lies: compiled where the
        recipe says so, its gradients added up over the ranks."""
        if not self.recipe.run.channels_last:
            run_channels_first(self.network)
        if self.recipe.run.fused_film:
            run_fused(self.network)
        if self.recipe.run.compile:
            self.network.compile()
        loss = ObjectiveOfNetwork(self.objective, self.network)
        return DistributedDataParallel(loss, broadcast_buffers=False) if self.world.size > 1 else loss

    def _without_exchange(self) -> contextlib.AbstractContextManager[None]:
        """Context in which gradients stay on their rank, for all micro-batches but the last."""
        ddp = self._loss_of
        return ddp.no_sync() if isinstance(ddp, DistributedDataParallel) else contextlib.nullcontext()

    def _targets(self) -> Targets:
        """Noise is drawn for the whole step and cut, so that neither accumulation nor the number of ranks changes
        anything."""
        data, generator = self.recipe.data, torch.Generator(self.device)
        n_samples = data.crop_frames * self.recipe.model.mel_config().hop_length
        generator.manual_seed(_mix(self.recipe.run.seed, self.step))
        return self.objective.draw(data.batch_size, n_samples, generator, self.history, self.step)

    def _loss(self, targets: Targets, part: int, n_parts: int) -> Share:
        """One micro-batch: its share in the losses of the step."""
        batch_size = self.recipe.data.batch_size
        chosen = slice(part * batch_size // n_parts, (part + 1) * batch_size // n_parts)
        crops = self._draw(self.step, part, n_parts)
        example = self.preprocess(crops)
        with autocast(self.device, self.precision):
            mean, of_items, refinement = self._loss_of(example, targets.part(chosen))
        return Share(mean * crops.share + self.recipe.refinement.weight * refinement, refinement, of_items)

    @torch.no_grad()
    def _not_finite(self, loss: float, norm: float) -> str:
        """Say what happened, and which clips cannot be taken alone; all of them where each one can."""
        named = "clips of the shards"
        if isinstance(self.sampler, CropSampler):
            n_crops = self.recipe.data.batch_size
            names = self.sampler.draw(self.step).names
            targets = self._targets()
            culprits = sorted({names[i] for i in range(n_crops) if not self._loss(targets, i, n_crops).loss.isfinite()})
            named = ", ".join(culprits or sorted(set(names)))
        return (
            f"step {self.step}: loss {loss}, gradient norm {norm}: not finite, with {named}; the state before this "
            "step is saved; look at these clips, or lower optimizer.learning_rate"
        )


def check_parts(recipe: Recipe, world: World) -> int:
    """Into how many parts a batch is cut: micro-batches times ranks.

    Raises:
        ConfigError: the batch cannot be cut evenly.
    """
    n_parts = recipe.run.accumulate * world.size
    if recipe.data.batch_size % n_parts:
        raise ConfigError(
            f"batch_size {recipe.data.batch_size} is not a multiple of {n_parts} "
            f"({world.size} processes of {recipe.run.accumulate} micro-batches)"
        )
    return n_parts


def _mix(*numbers: int) -> int:
    """A 63-bit seed from a few integers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()) >> 1
