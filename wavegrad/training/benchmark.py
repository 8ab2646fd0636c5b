"""How fast a training step is, with each of its options on and off."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from wavegrad.device import Precision, choose_device, choose_precision, has_bfloat16
from wavegrad.inference.engine import DTYPES
from wavegrad.inference.operations import count_operations
from wavegrad.inference.speed import Times, forget_peak, matrix_product, peak_memory_bytes, time_in_turn
from wavegrad.training.data import Clip
from wavegrad.training.recipe import Recipe, RunRecipe
from wavegrad.training.refinement import RefinementLoss
from wavegrad.training.trainer import Trainer

SWITCHES: dict[str, tuple[object, object]] = {
    "precision": ("float32", "bfloat16"),
    "channels_last": (False, True),
    "tune_convolutions": (False, True),
    "fused_film": (False, True),
    "fused_optimizer": (False, True),
    "whole_mels": (False, True),
    "compile": (False, True),
    "corpus_on_device": (False, True),
    "prefetch": (0, 1),
}
"""Keys of the recipe's [run] that change its speed: their value off and on."""
ON_CPU = ("precision", "channels_last", "fused_film", "fused_optimizer", "whole_mels")
"""Those that may matter on a CPU, where the corpus lies on the device anyway."""
BACKWARD = 2
"""Products of the backward pass for each of the forward pass: the gradients of the inputs and of the weights."""


@dataclass(frozen=True)
class StepSpeed:
    """Figures of one set of options; all sets were measured in turn."""

    name: str
    """"plain": all off; "plain + KEY"; "all"; "all - KEY"."""
    options: dict[str, object]
    step_s: float
    """Median."""
    slowest_s: float
    steps_per_s: float
    samples_per_s: float
    """Samples of audio in the crops."""
    speed_to_plain: float
    """Samples/s over those of "plain", run by run; above 1 is faster."""
    speed_to_all: float
    gflop: float
    """Counted floating-point operations of a step, 10^9: two for each product with a weight, three times those of the
    forward pass."""
    gflop_per_s: float
    matrix_gflop_per_s: float
    """What a product of large matrices in this precision did in the same run."""
    share_of_matrix_rate: float
    kept_mb: float
    """What a step keeps for its backward pass, without the weights: counted, not measured."""
    peak_memory_mb: float
    """GPU: of this trainer alone. CPU: of the process up to here."""


def default_switches(device: torch.device) -> tuple[str, ...]:
    """Keys that may matter on a device; the precision where it has units for bfloat16, which is slow elsewhere."""
    keys = ON_CPU if device.type == "cpu" else tuple(SWITCHES)
    return tuple(key for key in keys if key != "precision" or has_bfloat16(device))


def variants(keys: Sequence[str]) -> dict[str, dict[str, object]]:
    """Sets of options by name: all off, all on, and each one on or off alone."""
    off, on = ({key: SWITCHES[key][i] for key in keys} for i in (0, 1))
    sets = {"plain": off}
    if len(keys) > 1:
        sets |= {f"plain + {key}": {**off, key: on[key]} for key in keys}
        sets |= {f"all - {key}": {**on, key: off[key]} for key in keys}
    return sets | {"all": on}


def measure_steps(recipe: Recipe, keys: Sequence[str], n_runs: int, n_steps: int) -> list[StepSpeed]:
    """Time training steps of a recipe on made signals, one row for each of `variants`.

    What is not among `keys` stays as the recipe has it.

    Args:
        recipe: what to train; its device counts.
        keys: of SWITCHES.
        n_runs: measured runs of each set, after one to warm up; the sets take turns.
        n_steps: steps of a run.
    """
    device = choose_device(recipe.run.device)
    sets = variants(keys)
    clips = made_clips(recipe)
    calls: dict[str, Callable[[], object]] = {}
    kept, peaks = {}, {}
    for name, options in sets.items():
        before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
        forget_peak(device)
        trainer = Trainer(_with_options(recipe, options), clips)
        calls[name], kept[name] = _steps(trainer, n_steps), kept_bytes(trainer) / 1e6
        calls[name]()
        peaks[name] = (peak_memory_bytes(device) - before) / 1e6
    usual = choose_precision(recipe.run.precision, device)
    precisions: dict[str, Precision] = {name: options.get("precision", usual) for name, options in sets.items()}  # type: ignore[misc]
    rates = {}
    for precision in sorted(set(precisions.values())):
        calls[f"matrix {precision}"], rates[precision] = matrix_product(device, DTYPES[precision])
    times = time_in_turn(calls, n_runs, device)
    rows = []
    for name, options in sets.items():
        precision = precisions[name]
        matrix_rate = 2 * rates[precision] / times[f"matrix {precision}"].median / 1e9
        rows.append(_row(name, options, recipe, times, n_steps, matrix_rate, kept[name], peaks[name]))
    return rows


def kept_bytes(trainer: Trainer) -> int:
    """Bytes that autograd keeps in a step of one micro-batch until the backward pass, without the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in trainer.network.parameters()}
    kept: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        trainer.train_step()
    return sum(size for address, size in kept.items() if address not in weights)


def gflop_of_step(recipe: Recipe) -> float:
    """Counted floating-point operations of a step, 10^9; those of the spectrograms of a refinement loss are not."""
    rate = recipe.model.mel_config().sample_rate
    passes = 1 + (RefinementLoss(recipe).passes(recipe.data.batch_size) if recipe.refinement.weight else 0)
    macs = count_operations(recipe.network_config(), rate).network * passes * samples_of_step(recipe) / rate
    return 2 * (1 + BACKWARD) * macs / 1e9


def samples_of_step(recipe: Recipe) -> int:
    """Samples in the crops of a step."""
    return recipe.data.batch_size * recipe.data.crop_frames * recipe.model.mel_config().hop_length


def made_clips(recipe: Recipe, n_clips: int = 16, seconds: float = 4.0) -> list[Clip]:
    """Quiet noise, as long as sentences: the work does not depend on what is said."""
    generator = torch.Generator().manual_seed(0)
    n_samples = round(seconds * recipe.model.mel_config().sample_rate)
    noise = (3000 * torch.randn(n_clips, n_samples, generator=generator)).clamp(-32767, 32767).to(torch.int16)
    return [Clip(f"noise {i}", pcm) for i, pcm in enumerate(noise)]


def _steps(trainer: Trainer, n_steps: int) -> Callable[[], object]:
    def run() -> None:
        for _ in range(n_steps):
            trainer.train_step()

    return run


def _with_options(recipe: Recipe, options: dict[str, object]) -> Recipe:
    return replace(recipe, run=RunRecipe(**{**asdict(recipe.run), **options}))


def _row(
    name: str,
    options: dict[str, object],
    recipe: Recipe,
    times: dict[str, Times],
    n_steps: int,
    matrix_rate: float,
    kept_mb: float,
    peak_mb: float,
) -> StepSpeed:
    step_s = times[name].median / n_steps
    gflop = gflop_of_step(recipe)
    return StepSpeed(
        name=name,
        options=options,
        step_s=step_s,
        slowest_s=max(times[name].runs) / n_steps,
        steps_per_s=1 / step_s,
        samples_per_s=samples_of_step(recipe) / step_s,
        speed_to_plain=times["plain"].ratio(times[name]),
        speed_to_all=times["all"].ratio(times[name]),
        gflop=gflop,
        gflop_per_s=gflop / step_s,
        matrix_gflop_per_s=matrix_rate,
        share_of_matrix_rate=gflop / step_s / matrix_rate,
        kept_mb=kept_mb,
        peak_memory_mb=peak_mb,
    )
