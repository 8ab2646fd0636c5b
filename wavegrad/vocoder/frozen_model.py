"""Front-end, network and noise process in one immutable value."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal, TypeVar, get_args

import torch
from torch import Tensor

from wavegrad.audio.consistency import MelConsistency, check_iterations
from wavegrad.audio.lapped import Coefficients
from wavegrad.audio.mel import MelConfig, MelSpectrogram
from wavegrad.audio.prior import PriorConfig, PriorGains
from wavegrad.binding import Fast, bind_condition, bind_with_variance, training_schedule
from wavegrad.device import Precision, PrecisionName, check_has_casts, choose_precision
from wavegrad.diffusion import Ancestral, NoiseSchedule, Sampler
from wavegrad.diffusion.discrete import find_steps, sub_schedules
from wavegrad.errors import ConfigError, unknown
from wavegrad.inference import Engine, EngineOptions
from wavegrad.inference.engine import DTYPES
from wavegrad.inference.streaming import StreamLayers
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, PredictNoise
from wavegrad.streaming import StreamModel
from wavegrad.vocoder.items import batch_of_waveforms
from wavegrad.vocoder.schedules import choose_schedule, standard_schedules

M = TypeVar("M", bound="FrozenModel")

EngineName = Literal["fast", "reference"]
"""How the network is run; see `Vocoder.__call__`."""


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """Front-end, network and noise process of a model, which fit each other. See `Vocoder`, which makes audio of it.

    Args:
        mel_config: the front-end the network was trained with.
        network: the noise estimator; it is copied, its weights as float32, so that training on does not reach into the
            vocoder.
        prior: the noise that the refinement starts from, as in training.
        schedules: the noise schedules that the model knows by name; left out, `standard_schedules`.
        default_schedule: the one that is used when none is asked for.
        card: text of the model card (Markdown).
        griffin_lim: iterations of `MelConsistency` that follow the sampler where none are asked for.
        engine_options: how the "fast" engine is prepared; not saved with the model.

    Raises:
        ConfigError: hop length or band count of network and front-end differ, there is no such default schedule, or
            Griffin-Lim is not possible.
    """

    mel_config: MelConfig
    network: WaveGrad
    prior: PriorConfig = PriorConfig()
    schedules: Mapping[str, NoiseSchedule] = field(default_factory=dict)
    default_schedule: str = "6"
    card: str = ""
    griffin_lim: int = 0
    engine_options: EngineOptions = EngineOptions()
    _engines: dict[Precision, Engine] = field(default_factory=dict, init=False, repr=False)
    """Prepared when first used; what a call returns does not depend on it."""
    _stream_layers: dict[Precision, StreamLayers] = field(default_factory=dict, init=False, repr=False)
    """As the engines."""

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
        check_iterations(self.griffin_lim, self.mel_config)
        network = copy.deepcopy(self.network).eval().requires_grad_(False)
        for parameter in network.parameters():
            parameter.data = parameter.data.float()  # borders of noise levels stay float64
        object.__setattr__(self, "network", network)
        object.__setattr__(self, "schedules", MappingProxyType(dict(self.schedules)))

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        """Pickled, and copied, by what it was made from: what is prepared at the first call belongs to a process."""
        made_from = {field.name: getattr(self, field.name) for field in fields(self) if field.init}
        return type(self), tuple((made_from | {"schedules": dict(self.schedules)}).values())

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

    def to(self: M, device: torch.device | str) -> M:
        """A copy of this model on another device."""
        return replace(self, network=copy.deepcopy(self.network).to(device))

    @property
    def training_schedule(self) -> NoiseSchedule | None:
        """The schedule whose steps the network knows by index; None for a network that is told the noise level."""
        return training_schedule(self.network)

    def find_schedule(self, schedule: NoiseSchedule | str | int | None = None) -> NoiseSchedule:
        """The schedule that a call with this argument uses.

        Raises:
            ConfigError: there is no schedule of that name, less than one step, or levels that a model told the index
                of its step was not trained at.
        """
        known = self.training_schedule
        if known is None:
            return choose_schedule(schedule, self.schedules, self.default_schedule, self.prior)
        if isinstance(schedule, int) and schedule > 0:
            return known.strided(schedule)
        found = choose_schedule(schedule, self.schedules, self.default_schedule, self.prior)
        find_steps(found.noise_levels.tolist()[1:], known, f"schedule {found.name!r}")
        return found

    def mel(self, waveform: Tensor) -> Tensor:
        """`batch time` -> `batch n_mels frames`, or `time` -> `n_mels frames`, on `device`.

        Raises:
            AudioError: the waveform is empty or not finite.
        """
        batch = batch_of_waveforms(waveform).to(self.device, torch.float32)
        mel = MelSpectrogram(self.mel_config).to(self.device)(batch)
        return mel if waveform.dim() == 2 else mel[0]

    def prior_gains(self, mel: Mel) -> Coefficients | None:
        """What `whiten` and `colour` take: the gains of the prior for a mel on `device`; None for the standard one."""
        return self._prior_gains(mel)

    def predict_noise(
        self,
        mel: Mel,
        guidance: float = 0.0,
        precision: PrecisionName = "float32",
        engine: EngineName = "reference",
        frames: Sequence[int] | None = None,
    ) -> PredictNoise:
        """epsilon_theta(y, noise_level) with its condition bound, as samplers and likelihoods take it; see
        `bind_condition`. The "fast" engine has no gradients; items of different lengths always take it. A network that
        overrides WaveGrad's call is called as it is."""
        _check_engine(engine)
        ragged = frames is not None and min(frames) < mel.shape[2]
        if ragged:
            self._check_layers("items of different lengths")
        is_fast = ragged or (engine == "fast" and type(self.network) is WaveGrad)
        chosen = choose_precision(precision, self.device)
        if not is_fast:
            check_has_casts(chosen)
        fast = Fast(self._engine(chosen), frames) if is_fast else None
        return bind_condition(self.network, mel.to(self.device, torch.float32), guidance, chosen, fast)

    @property
    def _is_plain(self) -> bool:
        """A network whose only conditions are mel and noise level, called as it was written."""
        return type(self.network) is WaveGrad and self.training_schedule is None

    def _check_layers(self, what: str) -> None:
        """Raise ConfigError for a network that is more than its layers."""
        if type(self.network) is not WaveGrad:
            kind = type(self.network).__name__
            raise ConfigError(f"{what} take the layers of a WaveGrad; this network ({kind}) makes single mels only")

    def _engine(self, precision: Precision) -> Engine:
        if precision not in self._engines:
            self._engines[precision] = Engine.prepare(self.network, precision, self.engine_options)
        return self._engines[precision]

    def _stream_model(self, precision: Precision, griffin_lim: int | None) -> StreamModel:
        check_has_casts(precision)
        self._check_layers("streams")
        if precision not in self._stream_layers:
            self._stream_layers[precision] = StreamLayers.prepare(self.network, DTYPES[precision])
        layers, consistency = self._stream_layers[precision], self._consistency(griffin_lim)
        return StreamModel(layers, self.mel_config, self._prior_gains, consistency)

    @cached_property
    def _prior_gains(self) -> PriorGains:
        """Its tables are made and brought to the device once."""
        with torch.inference_mode(False):  # gradients may be wanted later
            return PriorGains(self.mel_config, self.prior).to(self.device)

    @cached_property
    def _no_iterations(self) -> MelConsistency:
        """As the gains of the prior."""
        with torch.inference_mode(False):
            return MelConsistency(self.mel_config, 0, fused=self.engine_options.fused).to(self.device)

    def _consistency(self, griffin_lim: int | None) -> MelConsistency:
        return self._no_iterations.with_iterations(self.griffin_lim if griffin_lim is None else griffin_lim)

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
        _check_engine(engine)
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


def _check_engine(name: str) -> None:
    """Raise ConfigError where there is none of that name."""
    if name not in get_args(EngineName):
        raise ConfigError(unknown("engine", name, get_args(EngineName)))
