"""What changes while training, and the step that changes it."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import torch

from wavegrad.config import to_dict
from wavegrad.device import Precision, autocast, choose_device
from wavegrad.diffusion.importance import LossHistory
from wavegrad.errors import CheckpointError, TrainingError
from wavegrad.network import WaveGrad
from wavegrad.training.data import Clip, CropSampler, context_samples
from wavegrad.training.ema import Ema
from wavegrad.training.objective import Objective, Targets
from wavegrad.training.optimizer import build_optimizer, learning_rate
from wavegrad.training.recipe import Recipe
from wavegrad.training.state import TrainingState
from wavegrad.training.step import Preprocessor
from wavegrad.vocoder import Vocoder


@dataclass(frozen=True)
class StepReport:
    """Figures of one step."""

    loss: float
    gradient_norm: float
    """Before clipping."""
    learning_rate: float


class Trainer:
    """Network, averaged network, optimiser and step counter; randomness is a function of (seed, step)."""

    def __init__(self, recipe: Recipe, clips: list[Clip]):
        mel = recipe.model.mel_config()
        context = context_samples(mel)
        self.recipe = recipe
        self.device = choose_device(recipe.run.device)
        self.precision = choose_precision(recipe.run.precision, self.device)
        self.objective = Objective(recipe)
        self.sampler = CropSampler(clips, mel, recipe.data, recipe.run.seed)
        self.preprocess = Preprocessor(mel, recipe.model.prior, context, self.device)
        with torch.random.fork_rng():
            torch.manual_seed(recipe.run.seed)
            self.network = WaveGrad(recipe.network_config()).to(self.device)
        self.ema = Ema(self.network, recipe.optimizer.ema_decay)
        self.optimizer = build_optimizer(self.network, recipe.optimizer)
        self.step = 0
        self.best_loss = float("inf")
        importance = recipe.objective.level_sampling == "importance"
        self.history = LossHistory.empty(recipe.schedule.n_steps) if importance else None

    def train_step(self) -> StepReport:
        """One optimiser step over all micro-batches.

        Raises:
            TrainingError: the loss or the gradient is not finite; the weights are those from before the step.
        """
        recipe, n_parts = self.recipe.optimizer, self.recipe.run.accumulate
        rate = learning_rate(self.step, self.recipe.run.steps, recipe)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        targets = self._targets()
        items = []
        for part in range(n_parts):
            loss, of_items = self._loss(targets, part, n_parts)
            (loss / n_parts).backward()
            total += loss.detach() / n_parts
            items.append(of_items)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip_norm)
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            raise TrainingError(self._not_finite(total.item(), norm.item()))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.ema.update(self.network, self.step)
        if self.history is not None:
            self.history = self.history.record(targets.steps, torch.cat(items))
        self.step += 1
        return StepReport(total.item(), norm.item(), rate)

    def state(self) -> TrainingState:
        """A snapshot that `restore` takes."""
        return TrainingState(
            self.step,
            to_dict(self.recipe),
            self.network.state_dict(),
            self.ema.network.state_dict(),
            self.optimizer.state_dict(),
            self.best_loss,
            None if self.history is None else self.history.losses,
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a snapshot.

        Raises:
            CheckpointError: its weights do not fit the network of the recipe.
        """
        try:
            self.network.load_state_dict(state.network)
            self.ema.network.load_state_dict(state.ema)
            self.optimizer.load_state_dict(state.optimizer)
        except (RuntimeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint does not fit the recipe: {' '.join(str(error).split())}") from error
        self.step = state.step
        self.best_loss = state.best_loss
        if self.history is not None and state.level_losses is not None:
            self.history = LossHistory(self.history.n_steps, state.level_losses.cpu())

    def vocoder(self) -> Vocoder:
        """The averaged weights as a vocoder."""
        model = self.recipe.model
        return Vocoder(model.mel_config(), self.ema.network, model.prior, default_schedule=model.default_schedule)

    def _targets(self) -> Targets:
        """Noise is drawn for the whole step and cut, so that accumulation changes nothing."""
        data, generator = self.recipe.data, torch.Generator(self.device)
        n_samples = data.crop_frames * self.recipe.model.mel_config().hop_length
        generator.manual_seed(_mix(self.recipe.run.seed, self.step))
        return self.objective.draw(data.batch_size, n_samples, generator, self.history)

    def _loss(self, targets: Targets, part: int, n_parts: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of one micro-batch, and those of its items."""
        batch_size = self.recipe.data.batch_size
        chosen = slice(part * batch_size // n_parts, (part + 1) * batch_size // n_parts)
        example = self.preprocess(self.sampler.draw(self.step, part, n_parts))
        with autocast(self.device, self.precision):
            return self.objective.loss(self.network, example, targets.part(chosen))

    @torch.no_grad()
    def _not_finite(self, loss: float, norm: float) -> str:
        """Say what happened, and which clips cannot be taken alone; all of them where each one can."""
        n_crops = self.recipe.data.batch_size
        names = self.sampler.draw(self.step).names
        targets = self._targets()
        culprits = sorted({names[i] for i in range(n_crops) if not self._loss(targets, i, n_crops)[0].isfinite()})
        named = ", ".join(culprits or sorted(set(names)))
        return (
            f"step {self.step}: loss {loss}, gradient norm {norm}: not finite, with {named}; the state before this "
            "step is saved; look at these clips, or lower optimizer.learning_rate"
        )


def choose_precision(name: Literal["auto", "float32", "bfloat16"], device: torch.device) -> Precision:
    """ "auto" is bfloat16 on GPUs that have it, else float32 (on CPUs without bfloat16 units it is slower)."""
    if name == "auto":
        return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
    return name


def _mix(*numbers: int) -> int:
    """A 63-bit seed from a few integers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest()) >> 1
