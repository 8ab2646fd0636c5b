"""From a network to what samplers take: guidance, variances, indices."""

import inspect
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.test_vocoder import HOP, MEL, noisy_speech, tiny_network
from wavegrad.audio.prior import PriorConfig
from wavegrad.binding import bind_condition, bind_with_variance
from wavegrad.diffusion import Ancestral, NoiseSchedule
from wavegrad.errors import ConfigError
from wavegrad.inference import Engine
from wavegrad.network import WaveGrad, network_preset
from wavegrad.shapes import PredictNoise
from wavegrad.vocoder import Vocoder

TRAINING = NoiseSchedule.linear(1e-4, 0.05, 100)
Y = noisy_speech(6 * HOP)[None]
LEVEL = torch.tensor([0.7])


def family(**fields: object) -> Vocoder:
    """A tame vocoder whose network has these fields."""
    plain = tiny_network()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = WaveGrad(replace(plain.config, **fields))
    state = network.state_dict() | {k: v for k, v in plain.state_dict().items() if not k.startswith("output_conv")}
    for name, tensor in plain.output_conv.state_dict().items():
        state[f"output_conv.{name}"][:1] = tensor
    network.load_state_dict(state)
    return Vocoder(MEL, network, PriorConfig("spectral"))


@pytest.fixture(scope="module")
def guidable() -> Vocoder:
    return family(null_condition=True)


@pytest.fixture(scope="module")
def indexed() -> Vocoder:
    return family(step_levels=tuple(TRAINING.noise_levels.tolist()[1:]))


@pytest.fixture(scope="module")
def mel(guidable: Vocoder) -> Tensor:
    return guidable.mel(torch.stack([noisy_speech(6 * HOP, seed) for seed in (1, 2)]))


def test_guidance_0_is_the_plain_model_at_one_call_a_step(guidable: Vocoder, mel: Tensor) -> None:
    n_calls = 0

    def count(*_: object) -> None:
        nonlocal n_calls
        n_calls += 1

    hook = guidable.network.register_forward_hook(count)  # the fast engine does not pass by it
    plain = guidable(mel, 3, engine="reference")
    assert n_calls == 3
    assert torch.equal(guidable(mel, 3, guidance=0.0, engine="reference"), plain)
    assert n_calls == 6
    assert torch.equal(family()(mel, 3, engine="reference"), plain)
    guided = guidable(mel, 3, guidance=0.5, engine="reference")
    assert n_calls == 12
    assert (guided - plain).abs().max() > 1e-4
    hook.remove()


@pytest.mark.parametrize("guidance", [0.0, 0.5])
def test_the_fast_engine_guides_likewise_in_as_many_calls(
    guidable: Vocoder, mel: Tensor, guidance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    bind = Engine.bind

    def counting(engine: Engine, *condition: object) -> PredictNoise:
        bound, which = bind(engine, *condition), len(calls)
        calls.append(0)

        def call(y: Tensor, noise_level: Tensor) -> Tensor:
            calls[which] += 1
            return bound(y, noise_level)

        return call

    monkeypatch.setattr(Engine, "bind", counting)
    fast = guidable(mel, 3, guidance=guidance)
    assert calls == ([3] if guidance == 0 else [3, 3])
    torch.testing.assert_close(fast, guidable(mel, 3, guidance=guidance, engine="reference"), rtol=0, atol=1e-5)


def test_guidance_is_the_published_combination(guidable: Vocoder, mel: Tensor) -> None:
    mel, network = mel[:1], guidable.network
    with torch.no_grad():
        found = bind_condition(network, mel, 0.5)(Y, LEVEL)
        expected = 1.5 * network(Y, mel, LEVEL) - 0.5 * network(Y, network.no_condition(mel), LEVEL)
    torch.testing.assert_close(found, expected)


def test_guidance_of_a_model_without_dropout_is_refused_in_one_line(mel: Tensor) -> None:
    with pytest.raises(ConfigError, match=r"guidance is 2, but this model was trained without .* leave it at 0") as e:
        family()(mel, 2, guidance=2.0)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_no_number_is_refused(guidable: Vocoder, mel: Tensor, weight: float) -> None:
    with pytest.raises(ConfigError, match="must be a finite number"):
        guidable(mel, 2, guidance=weight)


def test_a_learned_variance_comes_beside_the_same_noise(mel: Tensor) -> None:
    vocoder = family(learned_variance=True, null_condition=True)
    mel = mel[:1]
    with torch.no_grad():
        for weight in (0.0, 0.7):
            noise, v = bind_with_variance(vocoder.network, mel, weight)(Y, LEVEL)
            assert torch.equal(noise, bind_condition(vocoder.network, mel, weight)(Y, LEVEL))
            assert torch.equal(v, vocoder.network.noise_and_variance(Y, mel, LEVEL)[1])
    torch.testing.assert_close(vocoder(mel, 3), family()(mel, 3))  # nothing is seen of v where it is not asked for
    with pytest.raises(ConfigError, match="no learned variance"):
        bind_with_variance(family().network, mel)
    with pytest.raises(ConfigError, match="unknown engine 'fsat'"):
        inspect.unwrap(Vocoder._bound)(
            vocoder, mel, Ancestral(variance="learned"), 0.0, "float32", "fsat", [mel.shape[2]]
        )


def test_a_model_of_indices_is_sampled_with_parts_of_its_training(indexed: Vocoder, mel: Tensor) -> None:
    assert list(indexed.schedules) == ["6", "25", "50", "100"]
    assert indexed.find_schedule() == indexed.find_schedule("6") == indexed.schedules["6"]
    assert indexed.find_schedule(7).n_steps == 7
    for schedule in (7, "25", TRAINING.sub_schedule([3, 50, 100])):
        assert indexed(mel, schedule).isfinite().all()


@pytest.mark.parametrize("schedule", ["public-6", NoiseSchedule.log_snr(4)])
def test_other_schedules_are_refused_by_name(indexed: Vocoder, mel: Tensor, schedule: str | NoiseSchedule) -> None:
    name = schedule if isinstance(schedule, str) else schedule.name
    with pytest.raises(ConfigError) as caught:
        indexed(mel, schedule)
    assert f"schedule {name!r} asks for sqrt(alpha_bar)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_steps_than_were_trained_are_refused(indexed: Vocoder) -> None:
    with pytest.raises(ConfigError, match="1 to 100 are possible"):
        indexed.find_schedule(101)


def test_a_sampler_that_leaves_the_schedule_is_refused(indexed: Vocoder, mel: Tensor) -> None:
    predict = indexed.predict_noise(mel[:1])
    on = TRAINING.noise_levels[40:41].float()
    assert torch.isfinite(predict(Y, on)).all()
    with pytest.raises(ConfigError, match="the sampler asks for"):
        predict(Y, on * 0.9999)


def test_the_family_survives_saving(tmp_path, mel: Tensor) -> None:
    levels = tuple(TRAINING.noise_levels.tolist()[1:])
    vocoder = family(step_levels=levels, learned_variance=True, null_condition=True)
    vocoder.save_pretrained(tmp_path / "m")
    loaded = Vocoder.from_pretrained(str(tmp_path / "m"))
    assert loaded.network.config == vocoder.network.config
    assert torch.equal(loaded(mel, 3, guidance=0.3), vocoder(mel, 3, guidance=0.3))
    both = [
        bind_with_variance(v.network, mel[:1])(Y, TRAINING.noise_levels[40:41].float())[1] for v in (loaded, vocoder)
    ]
    assert torch.equal(*both)


def test_the_tiny_preset_is_plain() -> None:
    assert network_preset("tiny").step_levels is None
