"""The quality gate: the shipped models are as good as they were, and what would spoil the default one is noticed.

The floors stand in tests/quality.json, and tests/quality.py says how they were made and with which margins.
"""

import json
from dataclasses import replace

import pytest

from tests.quality import KEYS, RECORD, figures, shortfalls, weights_hash
from wavegrad import Vocoder, WaveGrad, named_schedule
from wavegrad.checkpoint import default_model, shipped_models

RECORDED = json.loads(RECORD.read_text(encoding="utf-8"))
MODELS = sorted(shipped_models())
FLOORS = RECORDED["models"][default_model()]


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return Vocoder.from_pretrained()


def test_the_floors_are_those_of_the_shipped_models() -> None:
    found = {model: weights_hash(model) for model in MODELS}
    assert found == {model: record["weights"] for model, record in RECORDED["models"].items()}, (
        f"other models ship: {RECORDED['command']}, and look at the diff"
    )


@pytest.mark.parametrize("model", MODELS)
def test_the_network_is_as_good_as_recorded(model: str) -> None:
    assert shortfalls(figures(Vocoder.from_pretrained(model)), RECORDED["models"][model]["network"]) == []


@pytest.mark.parametrize("model", MODELS)
def test_what_a_user_hears_is_as_good_as_recorded(model: str) -> None:
    found = figures(Vocoder.from_pretrained(model), griffin_lim=None)
    assert shortfalls(found, RECORDED["models"][model]["default"]) == []


def test_without_griffin_lim_what_a_user_hears_fails(vocoder: Vocoder) -> None:
    assert len(shortfalls(figures(vocoder, 1), FLOORS["default"])) == len(KEYS)


def test_without_c_5000_the_gate_fails(vocoder: Vocoder) -> None:
    """The network of WaveGrad is told C * sqrt(alpha_bar); without C all levels look alike to it."""
    network = WaveGrad(replace(vocoder.network.config, level_scale=1.0))
    network.load_state_dict(vocoder.network.state_dict())
    assert shortfalls(figures(replace(vocoder, network=network)), FLOORS["network"])


@pytest.mark.filterwarnings("ignore::wavegrad.diffusion.schedule.ScheduleWarning")
def test_with_a_bad_schedule_the_gate_fails(vocoder: Vocoder) -> None:
    """Six steps that end at sqrt(alpha_bar) = 0.96, while sampling starts from pure noise."""
    assert shortfalls(figures(vocoder, named_schedule("public-6")), FLOORS["network"])


def test_with_a_wrong_mel_floor_the_gate_fails(vocoder: Vocoder) -> None:
    """1e-3 instead of 1e-5: what is quieter than 60 dB below full scale gets 40 dB louder at most."""
    wrong = replace(vocoder, mel_config=replace(vocoder.mel_config, floor=1e-3))
    assert shortfalls(figures(vocoder, mel_of=wrong), FLOORS["network"])


def test_the_gate_compares_each_figure_in_its_direction() -> None:
    floors = {key: {"recorded": 2.0, "margin": 0.1} for key in KEYS}
    assert shortfalls({"pesq_wb": 1.91, "stoi": 3.0, "log_mel_db": 2.09}, floors) == []
    assert len(shortfalls({"pesq_wb": 1.89, "stoi": 1.89, "log_mel_db": 2.11}, floors)) == 3
    assert len(shortfalls({"pesq_wb": float("nan"), "stoi": 2.0, "log_mel_db": 1.0}, floors)) == 1
