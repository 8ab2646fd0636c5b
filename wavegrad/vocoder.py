"""The vocoder: front-end, network and noise process in one immutable value."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.lapped import Coefficients
from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.audio.mel_check import check_mel
from wavegrad.audio.prior import PriorConfig, colour, prior_gains
from wavegrad.binding import Fast, bind_condition, bind_with_variance, training_schedule
from wavegrad.checkpoint import Model, load_model, resolve_model, save_model
from wavegrad.device import Precision
from wavegrad.diffusion import (
    SCHEDULES,
    Ancestral,
    NoiseSchedule,
    Sampler,
    Variance,
    choose_sampler,
    named_schedule,
)
from wavegrad.diffusion.discrete import find_steps, sub_schedules
from wavegrad.diffusion.schedule import warn_of_terminal_level
from wavegrad.errors import AudioError, CheckpointError, ConfigError, unknown
from wavegrad.inference import Engine, in_smaller_batches, sample_at_once
from wavegrad.inference.streaming import is_linear, linear_steps
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, PredictNoise, Waveform
from wavegrad.streaming import LookAhead, StreamOptions, look_ahead, stream

EngineName = Literal["fast", "reference"]
"""How the network is run; see `Vocoder.__call__`."""


def generic_schedule(n_steps: int, prior: PriorConfig) -> NoiseSchedule:
    """A schedule of any length for a prior, evenly spaced in log-SNR.

    A whitened waveform has unit variance at every instant, and noise 40 dB below it may be left to the last step. With
    the standard prior that would drown the quiet parts of the raw waveform: 60 dB, WaveGrad's beta_1 = 1e-6.
    """
    return NoiseSchedule.log_snr(n_steps, 60.0 if prior.kind == "standard" else 40.0)


def standard_schedules(prior: PriorConfig) -> dict[str, NoiseSchedule]:
    """What a new vocoder comes with: 6, 25, 50 and 1000 steps."""
    return {str(n): generic_schedule(n, prior) for n in (6, 25, 50, 1000)}


@dataclass(frozen=True, eq=False)
class Vocoder:
    """Turns mel spectrograms into waveforms. Immutable: no call changes it, and it can be shared between threads.

    Args:
        mel_config: the front-end the network was trained with.
        network: the noise estimator; it is copied, so that training on does not reach into the vocoder.
        prior: the noise that the refinement starts from, as in training.
        schedules: the noise schedules that the model knows by name; left out, `standard_schedules`.
        default_schedule: the one that is used when none is asked for.
        card: text of the model card (Markdown).

    Raises:
        ConfigError: hop length or band count of network and front-end differ, or there is no such default schedule.
    """

    mel_config: MelConfig
    network: WaveGrad
    prior: PriorConfig = PriorConfig()
    schedules: Mapping[str, NoiseSchedule] = field(default_factory=dict)
    default_schedule: str = "6"
    card: str = ""
    _engines: dict[Precision, Engine] = field(default_factory=dict, init=False, repr=False)
    """Prepared when first used; what a call returns does not depend on it."""

    def __post_init__(self) -> None:
        if not self.schedules:
            known = self.training_schedule
            schedules = standard_schedules(self.prior) if known is None else sub_schedules(known)
            object.__setattr__(self, "schedules", schedules)
        config = self.network.config
        config.check_hop(self.mel_config.hop_length)
        if config.n_mels != self.mel_config.n_mels:
            raise ConfigError(
                f"the network reads {config.n_mels} mel bands, the front-end makes {self.mel_config.n_mels}"
            )
        if self.default_schedule not in self.schedules:
            raise ConfigError(unknown("default schedule", self.default_schedule, self.schedules))
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        object.__setattr__(self, "network", network)
        object.__setattr__(self, "schedules", MappingProxyType(dict(self.schedules)))

    @classmethod
    def from_pretrained(cls, name_or_dir: str | Path | None = None) -> "Vocoder":
        """Load a vocoder, onto the CPU.

        Args:
            name_or_dir: a model directory, the name of a shipped model, or a Hugging Face Hub id "owner/name"; left
                out, the default model of the package.

        Raises:
            CheckpointError: there is no such model, or its files are damaged, newer or do not fit each other.
        """
        directory = resolve_model(name_or_dir)
        m = load_model(directory)
        try:
            return cls(m.mel_config, m.network, m.prior, m.schedules, m.default_schedule, m.card)
        except ConfigError as error:
            raise CheckpointError(f"{directory}: {error}") from error

    def save_pretrained(self, directory: str | Path, half: bool = False) -> None:
        """Write a model directory, whole or not at all; a model directory that is there is replaced.

        Args:
            directory: where to.
            half: store the weights as float16: half the size, each weight rounded to 11 bits.

        Raises:
            CheckpointError: `directory` holds something else than a model.
        """
        model = Model(self.mel_config, self.network, self.prior, self.schedules, self.default_schedule, self.card)
        save_model(model, directory, half)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.mel_config.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.mel_config.hop_length

    @property
    def n_mels(self) -> int:
        """Mel bands."""
        return self.mel_config.n_mels

    @property
    def device(self) -> torch.device:
        """Where the network is, and the waveforms come out."""
        return next(self.network.parameters()).device

    def to(self, device: torch.device | str) -> "Vocoder":
        """A copy of this vocoder on another device."""
        return replace(self, network=copy.deepcopy(self.network).to(device))

    def __call__(
        self,
        mel: Tensor,
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        length: int | Sequence[int] | None = None,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        guidance: float = 0.0,
        precision: Precision = "float32",
        engine: EngineName = "fast",
        frames: Sequence[int] | None = None,
        on_step: Callable[[int, Waveform], None] | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """Synthesise.

        Args:
            mel: `batch n_mels frames`, or `n_mels frames` for one item, in the convention of `mel_config`.
            schedule: a schedule; the name of one of the model's, or else of wavegrad.diffusion; a number of steps (the
                model's schedule of that length, or else `generic_schedule`); left out, the model's default.
            seed: of the noise. Item i of a batch gets seed + i, or seed[i]: no item depends on its neighbours.
            length: samples to keep, or one number for each item (the shorter ones end in zeros).
            sampler: a sampler, or the name of one of wavegrad.diffusion.SAMPLERS ("ddim", "ddim:eta=0.5"); left out,
                `default_sampler` of the number of steps.
            variance: short for the ancestral sampler with this sigma_n^2: "posterior" is the paper's, "beta" the larger
                one of DDPM; see `Ancestral`.
            guidance: weight w of classifier-free guidance, for models trained with dropped conditions; 0 is the plain
                model at one network call a step, anything else takes two.
            precision: of the network's arithmetic; the waveform being refined is float32 always.
            engine: "reference" runs the network as it was trained; "fast" the same function in fewer operations (1e-5
                apart in float32).
            frames: of each item, where the items of a batch have different lengths; what the mel holds beyond them does
                not matter, and each item becomes what it would alone, then zeros.
            on_step: called after every step with its number and the (whitened) waveform as it is then.

        Returns:
            `batch time`, or `time` for one item, float32, on `device`, nominally in [-1, 1] (nothing is clipped);
            time is frames * hop_length, or what `length` says.

        Raises:
            AudioError: a mel that cannot come from the front-end, or a length that it does not have.
            ConfigError: an unknown schedule or sampler, both a sampler and a variance, another number of seeds than
                items, a schedule that a model told the index of its step does not know, or guidance or a learned
                variance of a model that was not trained for it.

        Warns:
            MelWarning: a mel that hardly comes from the front-end.
        """
        check_mel(mel, self.mel_config)
        batch = (mel if mel.dim() == 3 else mel[None]).to(self.device, torch.float32)
        n_samples = batch.shape[2] * self.hop_length
        ends = _frames(frames, len(batch), batch.shape[2])
        lengths = _lengths(length if length is not None else [n * self.hop_length for n in ends], len(batch), n_samples)
        seeds = _seeds(seed, len(batch))
        chosen = self.find_schedule(schedule)
        walk = choose_sampler(sampler, variance, chosen.n_steps)
        with torch.inference_mode():
            gains = prior_gains(batch, self.mel_config, self.prior)
            y_0 = None
            if engine == "fast" and guidance == 0 and on_step is None and self._is_plain:
                y_0 = sample_at_once(self._engine(precision), walk, chosen, batch, ends, seeds)
            if y_0 is None:
                y_0 = walk(
                    self._bound(batch, walk, guidance, precision, engine, ends),
                    chosen,
                    n_samples,
                    seeds,
                    device=self.device,
                    on_step=on_step,
                )
            waveform = _crop(_colour(y_0, gains, ends), lengths)
        waveform = waveform.clone()  # one that autograd may use
        return waveform if mel.dim() == 3 else waveform[0]

    def batch(
        self,
        mels: Sequence[Float[Tensor, "n_mels _"]],
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        guidance: float = 0.0,
        precision: Precision = "float32",
    ) -> list[Float[Tensor, " _"]]:
        """Several utterances of any lengths at once: what a GPU wants. Each becomes what it would alone.

        Args:
            mels: `n_mels frames` each.
            schedule, seed, sampler, guidance, precision: as in a call.

        Raises:
            AudioError, ConfigError: as in a call.

        Warns:
            MemoryWarning: the memory was not enough for all of them; they were done in smaller batches.
        """
        for mel in mels:
            check_mel(mel, self.mel_config)
        seeds = _seeds(seed, len(mels))

        def run(items: list[int]) -> list[Tensor]:
            frames = [mels[i].shape[1] for i in items]
            padded = [_hold(mels[i], max(frames)) for i in items]
            chosen = [seeds[i] for i in items]
            audio = self(
                torch.stack(padded),
                schedule,
                chosen,
                sampler=sampler,
                guidance=guidance,
                precision=precision,
                frames=frames,
            )
            return [audio[i, : n * self.hop_length] for i, n in enumerate(frames)]

        return in_smaller_batches(run, len(mels))

    def stream(
        self,
        mel_chunks: Iterable[Tensor],
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        precision: Precision = "float32",
        lookahead_frames: int | None = None,
    ) -> Iterator[Float[Tensor, "*batch time"]]:
        """Synthesise while the mel is still coming, in memory that does not grow with its length.

        What is yielded, put together, is what a call makes of the whole mel (to 1e-5 in float32), however it was cut:
        each sample comes as soon as it is final, `look_ahead` behind the mel. The cost is that of the call.

        Args:
            mel_chunks: as in a call, but any number of frames at a time, none too.
            schedule, seed, variance, precision: as in a call.
            sampler: as in a call, but one of those whose steps look at one sample and one prediction: the ancestral
                (posterior, beta) and DDIM. Left out, the default of the number of steps, or else the ancestral.
            lookahead_frames: to wait less. After each chunk, all but this many frames of what came are yielded, as they
                would be if the mel ended there; the result depends on the cuts then, and each chunk costs up to
                `look_ahead` frames more.

        Yields:
            `batch time`, or `time` for one item, one sample or more.

        Raises:
            AudioError, ConfigError: as in a call; of a mel, when its chunk is reached. Also ConfigError: a sampler that
                cannot be streamed.
        """
        chosen = self.find_schedule(schedule)
        walk = choose_sampler(sampler, variance, chosen.n_steps)
        if sampler is None and variance is None and not is_linear(walk):
            walk = Ancestral()
        steps = linear_steps(walk, chosen)
        options = StreamOptions(precision, lookahead_frames)
        warn_of_terminal_level(chosen)
        return stream(mel_chunks, self.network, self.mel_config, self.prior, steps, partial(_seeds, seed), options)

    def look_ahead(self, schedule: NoiseSchedule | str | int | None = None) -> LookAhead:
        """How far behind the mel the audio of `stream` comes."""
        return look_ahead(self.network.config, self.prior, self.find_schedule(schedule).n_steps)

    def mel(self, waveform: Tensor) -> Tensor:
        """`batch time` -> `batch n_mels frames`, or `time` -> `n_mels frames`, on `device`.

        Raises:
            AudioError: the waveform is empty or not finite.
        """
        batch = _batch_of_waveforms(waveform).to(self.device, torch.float32)
        mel = MelSpectrogram(self.mel_config).to(self.device)(batch)
        return mel if waveform.dim() == 2 else mel[0]

    def resynthesize(
        self,
        waveform: Tensor,
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        guidance: float = 0.0,
        precision: Precision = "float32",
    ) -> Float[Tensor, "*batch time"]:
        """Waveform -> mel -> waveform of the same length and phase-blind content ("copy synthesis").

        Args:
            waveform: `batch time` or `time`, any length from 1 sample on, at `sample_rate`.
            schedule, seed, sampler, variance, guidance, precision: as in a call.
        """
        n_samples = waveform.shape[-1]
        mel = self.mel(F.pad(waveform, (0, -n_samples % self.hop_length)))
        return self(
            mel,
            schedule,
            seed,
            length=n_samples,
            sampler=sampler,
            variance=variance,
            guidance=guidance,
            precision=precision,
        )

    def find_schedule(self, schedule: NoiseSchedule | str | int | None = None) -> NoiseSchedule:
        """The schedule that a call with this argument uses.

        Raises:
            ConfigError: there is no schedule of that name, less than one step, or levels that a model told the index
                of its step was not trained at.
        """
        known = self.training_schedule
        if known is None:
            return self._find(schedule)
        if isinstance(schedule, int) and schedule > 0:
            return known.strided(schedule)
        found = self._find(schedule)
        find_steps(found.noise_levels.tolist()[1:], known, f"schedule {found.name!r}")
        return found

    def _find(self, schedule: NoiseSchedule | str | int | None) -> NoiseSchedule:
        if isinstance(schedule, NoiseSchedule):
            return schedule
        default = self.schedules[self.default_schedule]
        if schedule is None:
            return default
        if isinstance(schedule, int):
            known = (s for s in (default, *self.schedules.values()) if s.n_steps == schedule)
            return next(known, None) or generic_schedule(schedule, self.prior)
        if schedule in self.schedules:
            return self.schedules[schedule]
        if schedule in SCHEDULES:
            return named_schedule(schedule)
        raise ConfigError(unknown("schedule", schedule, [*self.schedules, *SCHEDULES]))

    @property
    def training_schedule(self) -> NoiseSchedule | None:
        """The schedule whose steps the network knows by index; None for a network that is told the noise level."""
        return training_schedule(self.network)

    def predict_noise(
        self,
        mel: Mel,
        guidance: float = 0.0,
        precision: Precision = "float32",
        engine: EngineName = "reference",
        frames: Sequence[int] | None = None,
    ) -> PredictNoise:
        """epsilon_theta(y, noise_level) with its condition bound, as samplers and likelihoods take it; see
        `bind_condition`. The "fast" engine has no gradients, and a network that overrides WaveGrad's call is called as
        it is."""
        if engine not in get_args(EngineName):
            raise ConfigError(unknown("engine", engine, get_args(EngineName)))
        ragged = frames is not None and min(frames) < mel.shape[2]
        is_fast = ragged or (engine == "fast" and type(self.network) is WaveGrad)
        fast = Fast(self._engine(precision), frames) if is_fast else None
        return bind_condition(self.network, mel.to(self.device, torch.float32), guidance, precision, fast)

    @property
    def _is_plain(self) -> bool:
        """A network whose only conditions are mel and noise level, called as it was written."""
        return type(self.network) is WaveGrad and self.training_schedule is None

    def _engine(self, precision: Precision) -> Engine:
        if precision not in self._engines:
            self._engines[precision] = Engine.prepare(self.network, precision)
        return self._engines[precision]

    def _bound(
        self,
        mel: Mel,
        sampler: Sampler,
        guidance: float,
        precision: Precision,
        engine: EngineName,
        frames: list[int],
    ) -> PredictNoise:
        """What the sampler calls: a learned variance comes with the noise only where it is wanted."""
        if min(frames) < mel.shape[2] and not sampler.is_local:
            raise ConfigError(
                f"{sampler} takes means over the whole waveform, which items of different lengths do not share; "
                "synthesise them one by one, or with another sampler"
            )
        if not (isinstance(sampler, Ancestral) and sampler.variance == "learned"):
            return self.predict_noise(mel, guidance, precision, engine, frames)
        if min(frames) < mel.shape[2]:
            raise ConfigError("a learned variance needs items of one length; synthesise them one by one")
        return bind_with_variance(self.network, mel, guidance, precision)  # type: ignore[return-value]


def _seeds(seed: int | Sequence[int], n_items: int) -> list[int]:
    seeds = [seed + i for i in range(n_items)] if isinstance(seed, int) else list(seed)
    if len(seeds) != n_items:
        raise ConfigError(f"{len(seeds)} seeds for {n_items} mels; pass one for each, or a single number")
    return seeds


def _frames(frames: Sequence[int] | None, n_items: int, n_frames: int) -> list[int]:
    if frames is None:
        return [n_frames] * n_items
    if len(frames) != n_items or min(frames) < 1 or max(frames) > n_frames:
        raise AudioError(f"frames {list(frames)}: one number for each of {n_items} items is expected, 1 to {n_frames}")
    return list(frames)


def _hold(mel: Tensor, n_frames: int) -> Tensor:
    """Repeat the last frame: what is beyond the end does not matter, but should look like a mel."""
    return F.pad(mel[None], (0, n_frames - mel.shape[1]), mode="replicate")[0]


def _colour(y_0: Waveform, gains: Coefficients | None, frames: list[int]) -> Waveform:
    """`colour`, each item for itself where they end at different frames: the lapped transform sees their ends."""
    if gains is None or min(frames) == gains.shape[1]:
        return colour(y_0, gains)
    out = torch.zeros_like(y_0)
    for i, n in enumerate(frames):
        n_samples = n * gains.shape[2]
        out[i : i + 1, :n_samples] = colour(y_0[i : i + 1, :n_samples], gains[i : i + 1, :n])
    return out


def _lengths(length: int | Sequence[int] | None, n_items: int, n_samples: int) -> list[int]:
    if length is None:
        return [n_samples] * n_items
    lengths = [length] * n_items if isinstance(length, int) else list(length)
    if len(lengths) != n_items:
        raise AudioError(f"{len(lengths)} lengths for {n_items} mels; pass one for each, or a single number")
    if min(lengths) < 1 or max(lengths) > n_samples:
        raise AudioError(f"length {length} is not between 1 and the {n_samples} samples that the mel gives")
    return lengths


def _crop(waveform: Waveform, lengths: list[int]) -> Float[Tensor, "batch longest"]:
    time = torch.arange(max(lengths), device=waveform.device)
    inside = time < torch.tensor(lengths, device=waveform.device)[:, None]
    return waveform[:, : max(lengths)].where(inside, 0.0)


def _batch_of_waveforms(waveform: Tensor) -> Tensor:
    if waveform.dim() not in (1, 2) or not waveform.is_floating_point():
        raise AudioError(
            f"a waveform is `time` or `batch time` of floats; got {waveform.dtype}, {tuple(waveform.shape)}"
        )
    if waveform.numel() == 0:
        raise AudioError(f"the waveform is empty: {tuple(waveform.shape)}")
    if not torch.isfinite(waveform).all():
        raise AudioError("the waveform has values that are not finite")
    return waveform if waveform.dim() == 2 else waveform[None]
