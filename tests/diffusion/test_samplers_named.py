"""Samplers as values and by name: equal, hashable, parsed, refused in one line."""

import dataclasses

import pytest

from wavegrad.diffusion import (
    DDIM,
    SAMPLERS,
    Ancestral,
    DPMSolver,
    NoiseSchedule,
    PredictorCorrector,
    choose_sampler,
    default_sampler,
    named_sampler,
)
from wavegrad.errors import ConfigError


def test_samplers_are_values():
    assert DDIM(eta=0.5) == named_sampler("ddim:eta=0.5") != DDIM()
    assert len({DDIM(), DDIM(), DDIM(eta=1.0)}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        DDIM().eta = 1.0
    with pytest.raises(TypeError):
        SAMPLERS["mine"] = DDIM()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *SAMPLERS.items(),
        ("ancestral:variance=beta,data_std=0.1", Ancestral(variance="beta", data_std=0.1)),
        ("predictor-corrector:n_corrections=2,snr=0.1", PredictorCorrector(n_corrections=2, snr=0.1)),
        ("ddim:eta=1", DDIM(eta=1.0)),
        ("dpm++2s:data_std=2", DPMSolver(variant="2S", data_std=2.0)),
    ],
)
def test_names_with_options(text, expected):
    assert named_sampler(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dimm", "unknown sampler 'dimm': did you mean 'ddim'"),
        ("ddim:etta=1", "did you mean 'eta'"),
        ("ddim:eta", "write KEY=VALUE"),
        ("ddim:eta=2", "eta is 2.0; it must lie between 0 and 1"),
        ("ddim:eta=high", "expected a number, got 'high'"),
        ("ancestral:variance=betas", "did you mean 'beta'"),
        ("dpm++2m:variant=3M", "did you mean '2M'"),
        ("heun:data_std=-1", "data_std is -1.0"),
        ("heun:data_std=inf", "data_std is inf"),
        ("predictor-corrector:n_corrections=-1", "n_corrections is -1"),
        ("predictor-corrector:snr=-1", "snr is -1.0"),
    ],
)
def test_mistakes_in_names_and_options(text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        named_sampler(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_steps", [1, 3, 5, 6, 50])
def test_the_default_calls_the_network_once_a_step(n_steps):
    assert default_sampler(n_steps).n_calls(NoiseSchedule.log_snr(n_steps)) == n_steps
    assert default_sampler(n_steps) == (Ancestral() if n_steps > 5 else SAMPLERS["dpm++2m"])


def test_sampler_and_variance_exclude_each_other():
    assert choose_sampler(None, None, 6) == default_sampler(6)
    assert choose_sampler(None, "beta", 6) == Ancestral(variance="beta")
    assert choose_sampler("heun", None, 6) == SAMPLERS["heun"]
    assert choose_sampler(DDIM(eta=0.2), None, 6) == DDIM(eta=0.2)
    with pytest.raises(ConfigError, match="give one"):
        choose_sampler("heun", "beta", 6)
