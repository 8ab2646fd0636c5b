"""The samplers by name, as a person types them."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

from wavegrad import config
from wavegrad.diffusion.samplers.ancestral import Ancestral
from wavegrad.diffusion.samplers.ddim import DDIM
from wavegrad.diffusion.samplers.dpm_solver import DPMSolver
from wavegrad.diffusion.samplers.euler_maruyama import EulerMaruyama
from wavegrad.diffusion.samplers.heun import Heun
from wavegrad.diffusion.samplers.predictor_corrector import PredictorCorrector
from wavegrad.diffusion.samplers.sampler import Sampler
from wavegrad.errors import ConfigError, unknown

SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "ancestral": Ancestral(),
        "ddim": DDIM(),
        "dpm++1s": DPMSolver(variant="1S"),
        "dpm++2s": DPMSolver(variant="2S"),
        "dpm++2m": DPMSolver(variant="2M"),
        "heun": Heun(),
        "euler-maruyama": EulerMaruyama(),
        "predictor-corrector": PredictorCorrector(),
    }
)
"""By name, each with its default options."""


def named_sampler(text: str) -> Sampler:
    """The sampler of a name, with options after a colon: "ddim:eta=0.5", "ancestral:variance=beta,data_std=0.1".

    Raises:
        ConfigError: no such sampler or option (with the nearest known one), or a value that it cannot have.
    """
    name, _, options = text.partition(":")
    if name not in SAMPLERS:
        raise ConfigError(unknown("sampler", name, SAMPLERS))
    sampler = SAMPLERS[name]
    where = f"sampler {text!r}"
    fields = {field.name: getattr(sampler, field.name) for field in dataclasses.fields(sampler)}
    table = config.apply_overrides(fields, options.split(",") if options else [], where)
    return config.from_dict(type(sampler), table, where)


def sampler_name(sampler: Sampler) -> str:
    """The shortest text that `named_sampler` reads as this sampler; its `str` where it is of no named kind."""
    known = ((name, default) for name, default in SAMPLERS.items() if type(default) is type(sampler))
    return min((_text(name, default, sampler) for name, default in known), key=len, default=str(sampler))


def _text(name: str, default: Sampler, sampler: Sampler) -> str:
    values = {field.name: getattr(sampler, field.name) for field in dataclasses.fields(sampler)}
    options = ",".join(f"{key}={value}" for key, value in values.items() if value != getattr(default, key))
    return f"{name}:{options}" if options else name
