"""The vocoder: the same audio for the same arguments, whatever was called before or lies next to it."""

import copy
import inspect
import json
import math
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from wavegrad.audio.consistency import check_iterations
from wavegrad.audio.lapped import lapped
from wavegrad.audio.mel import MelConfig
from wavegrad.audio.presets import mel_preset
from wavegrad.audio.prior import PriorConfig, prior_gains, whiten
from wavegrad.device import Precision, PrecisionName
from wavegrad.diffusion import (
    DDIM,
    SAMPLERS,
    SCHEDULES,
    CounterNoise,
    NoiseSchedule,
    Variance,
    default_sampler,
    named_schedule,
)
from wavegrad.errors import AudioError, CheckpointError, ConfigError
from wavegrad.network import WaveGrad, network_preset
from wavegrad.vocoder import EngineName, Vocoder, generic_schedule
from wavegrad.vocoder.items import item_frames, item_lengths, item_seeds
from wavegrad.vocoder.schedules import choose_schedule

MEL = mel_preset("wavegrad-24k")
HOP = MEL.hop_length


def tiny_network(mel: MelConfig = MEL) -> WaveGrad:
    """Random weights, made so tame that refining with them does not diverge."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        preset = network_preset("tiny", mel.n_mels, hop_length=mel.hop_length)
        network = WaveGrad(replace(preset, mel_mean=-6.0, mel_std=2.0))
        for name, parameter in network.named_parameters():
            if name.startswith("films") and name.endswith("output.weight"):
                parameter.mul_(0.1)
        network.output_conv.weight.mul_(0.3)
        return network


def noisy_speech(n_samples: int, seed: int = 0) -> Tensor:
    """Noise whose level rises and falls, peak about 0.3."""
    noise = torch.randn(n_samples, generator=torch.Generator().manual_seed(seed))
    return 0.1 * noise * torch.sin(torch.linspace(0, 9, n_samples)).abs()


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return Vocoder(MEL, tiny_network(), PriorConfig("spectral"))


@pytest.fixture(scope="module")
def mel(vocoder: Vocoder) -> Tensor:
    """Two items of 6 frames."""
    return vocoder.mel(torch.stack([noisy_speech(6 * HOP, seed) for seed in (1, 2)]))


class Oracle(WaveGrad):
    """A network that knows the clip, and so the exact noise at every level."""

    def __init__(self, y_0: Tensor):
        super().__init__(network_preset("tiny", MEL.n_mels, hop_length=HOP))
        self.y_0 = y_0

    def forward(self, y: Tensor, mel: Tensor, noise_level: Tensor) -> Tensor:
        level = noise_level[:, None]
        return (y - level * self.y_0) / (1 - level**2).sqrt()


class Ignorant(WaveGrad):
    """A network that sees no noise."""

    def forward(self, y: Tensor, mel: Tensor, noise_level: Tensor) -> Tensor:
        return torch.zeros_like(y)


@pytest.mark.parametrize("prior", [PriorConfig("standard"), PriorConfig("energy"), PriorConfig("spectral")])
@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_with_an_oracle_the_clip_comes_back(prior: PriorConfig, variance: Variance) -> None:
    clip = torch.stack([noisy_speech(20 * HOP, 3), noisy_speech(20 * HOP, 4)])
    mel = Vocoder(MEL, tiny_network()).mel(clip)
    oracle = Oracle(whiten(clip, prior_gains(mel, MEL, prior)))
    found = Vocoder(MEL, oracle, prior).resynthesize(clip, 25, variance=variance)
    assert (found - clip).abs().max() < 2e-4


def test_the_prior_shapes_what_an_ignorant_network_makes() -> None:
    """A network that predicts no noise leaves Gaussian noise of one variance; coloured, it has the gains of the mel."""
    vocoder = Vocoder(MEL, Ignorant(tiny_network().config), PriorConfig("energy"))
    mel = vocoder.mel(noisy_speech(40 * HOP))
    made = lapped(vocoder(mel, 6)[None], HOP)
    gains = prior_gains(mel[None], MEL, vocoder.prior)
    assert gains is not None
    white = made / gains
    per_frame = white.square().mean(2).sqrt()
    assert (per_frame / per_frame.mean() - 1).abs().max() < 0.2  # 300 values a frame: 5 standard deviations


def test_a_network_that_overrides_the_call_is_not_taken_apart(mel: Tensor) -> None:
    """Batches of several lengths and streams were made by its layers, as if nothing had been overridden."""
    vocoder = Vocoder(MEL, Ignorant(tiny_network().config), PriorConfig("energy"))
    assert torch.equal(vocoder(mel, 2, engine="fast"), vocoder(mel, 2, engine="reference"))
    for call in (lambda: vocoder.batch([mel[0], mel[1, :, :3]], 2), lambda: vocoder.stream([mel], 2)):
        with pytest.raises(ConfigError, match=r"take the layers of a WaveGrad; this network \(Ignorant\) makes"):
            call()


def test_a_b_a_gives_a_twice(vocoder: Vocoder, mel: Tensor) -> None:
    first, other, again = vocoder(mel, 6), vocoder(mel, "25"), vocoder(mel, 6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_item_does_not_depend_on_its_neighbours(vocoder: Vocoder, mel: Tensor) -> None:
    both = vocoder(mel, seed=5)
    for i, seed in enumerate((5, 6)):
        torch.testing.assert_close(both[i], vocoder(mel[i], seed=seed), rtol=0, atol=1e-5)
    swapped = vocoder(mel.flip(0), seed=[6, 5])
    torch.testing.assert_close(swapped.flip(0), both, rtol=0, atol=1e-5)
    assert not torch.allclose(vocoder(mel, seed=[5, 7])[1], both[1], atol=1e-3)


def test_frames_times_hop_samples(vocoder: Vocoder, mel: Tensor) -> None:
    for n_frames in (1, 2, 6):
        assert vocoder(mel[..., :n_frames]).shape == (2, n_frames * HOP)
        assert vocoder(mel[0, :, :n_frames]).shape == (n_frames * HOP,)


def test_length_crops(vocoder: Vocoder, mel: Tensor) -> None:
    whole = vocoder(mel)
    assert torch.equal(vocoder(mel, length=1000), whole[:, :1000])
    ragged = vocoder(mel, length=[700, 1000])
    assert torch.equal(ragged[1], whole[1, :1000])
    assert torch.equal(ragged[0], torch.cat((whole[0, :700], torch.zeros(300))))
    for length in (0, 6 * HOP + 1, [1, 2, 3]):
        with pytest.raises(AudioError, match="length"):
            vocoder(mel, length=length)


@pytest.mark.parametrize(
    "config", [MEL, replace(MEL, centring="center"), mel_preset("hifigan-22k")], ids=["same", "center", "256"]
)
def test_resynthesis_keeps_the_length(config: MelConfig) -> None:
    vocoder = Vocoder(config, tiny_network(config), PriorConfig("spectral"))
    hop = config.hop_length
    for n_samples in (1, 2, hop - 1, hop, hop + 1, config.n_fft // 2 + 1, 5003):
        assert vocoder.resynthesize(noisy_speech(n_samples), 1).shape == (n_samples,)
    assert vocoder.resynthesize(torch.zeros(2, 1234), 1).shape == (2, 1234)


def test_resynthesis_is_a_call_with_the_mel(vocoder: Vocoder) -> None:
    clip = noisy_speech(7 * HOP)
    assert torch.equal(vocoder.resynthesize(clip, 6, 3), vocoder(vocoder.mel(clip), 6, 3))


def test_silence_stays_quiet() -> None:
    """A network that was never trained leaves all the noise, divided by the noisiest level, and adds its own."""
    vocoder = Vocoder(MEL, tiny_network(), PriorConfig("spectral"))
    assert vocoder.resynthesize(torch.zeros(3000), NoiseSchedule.log_snr(6, 40.0, -22.0)).abs().max() < 1e-3


def test_a_vocoder_does_not_change(mel: Tensor) -> None:
    network = tiny_network().train()
    vocoder = Vocoder(MEL, network)
    before, mel_before = vocoder(mel), mel.clone()
    with torch.no_grad():
        network.output_conv.weight.mul_(2)  # training goes on
    assert all(p.requires_grad for p in network.parameters())
    assert network.training
    assert torch.equal(vocoder(mel), before)
    assert torch.equal(mel, mel_before)
    assert not vocoder.network.training
    assert not any(p.requires_grad for p in vocoder.network.parameters())
    with pytest.raises(FrozenInstanceError):
        vocoder.default_schedule = "25"  # type: ignore[misc]
    with pytest.raises(TypeError):
        vocoder.schedules["6"] = NoiseSchedule.log_snr(7)  # type: ignore[index]


def test_autograd_may_use_the_audio(vocoder: Vocoder, mel: Tensor) -> None:
    gain = torch.ones((), requires_grad=True)
    (gain * vocoder(mel, 1)).square().sum().backward()
    assert gain.grad is not None


def test_autograd_may_use_the_prior_after_a_call(mel: Tensor) -> None:
    """Tables that were made in inference mode, in the first call, had no gradients."""
    vocoder, wanted = Vocoder(MEL, tiny_network(), PriorConfig("spectral")), mel.clone().requires_grad_()
    vocoder(mel, 1)
    gains = vocoder.prior_gains(wanted)
    assert gains is not None
    gains.sum().backward()
    assert wanted.grad is not None


def test_schedules_are_found(vocoder: Vocoder) -> None:
    mine = NoiseSchedule((1e-4, 0.1, 0.9))
    six = replace(vocoder, schedules={"best": mine, "6": NoiseSchedule.log_snr(6)})
    assert six.find_schedule() is six.schedules["6"]
    assert six.find_schedule(mine) is mine
    assert six.find_schedule("best") is mine
    assert six.find_schedule(3) is mine
    assert six.find_schedule(7) == generic_schedule(7, six.prior)
    name = next(iter(SCHEDULES))
    assert six.find_schedule(name) == named_schedule(name)
    with pytest.raises(ConfigError, match=r"unknown schedule 'bets': did you mean 'best'\?.*6"):
        six.find_schedule("bets")
    with pytest.raises(ConfigError, match="n_steps is 0; it must lie between 1 and 100000"):
        six.find_schedule(0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_leads_home_with_an_oracle(vocoder: Vocoder, name: str) -> None:
    clip = noisy_speech(10 * HOP, 3)[None]
    oracle = Oracle(whiten(clip, prior_gains(vocoder.mel(clip), MEL, vocoder.prior)))
    assert (Vocoder(MEL, oracle, vocoder.prior).resynthesize(clip, 6, sampler=name) - clip).abs().max() < 2e-4


def test_samplers_by_name_and_value(vocoder: Vocoder, mel: Tensor) -> None:
    assert torch.equal(vocoder(mel, 3), vocoder(mel, 3, sampler=default_sampler(3)))
    half = vocoder(mel, 3, sampler="ddim:eta=0.5")
    assert torch.equal(half, vocoder(mel, 3, sampler=DDIM(eta=0.5)))
    assert not torch.equal(half, vocoder(mel, 3, sampler="ddim"))
    assert torch.equal(vocoder(mel, 3, variance="beta"), vocoder(mel, 3, sampler="ancestral:variance=beta"))
    with pytest.raises(ConfigError, match="give one"):
        vocoder(mel, 3, sampler="ddim", variance="beta")


def test_seeds(vocoder: Vocoder, mel: Tensor) -> None:
    assert torch.equal(vocoder(mel, 1, 4), vocoder(mel, 1, [4, 5]))
    assert not torch.equal(vocoder(mel, 1, 4), vocoder(mel, 1, 5))
    with pytest.raises(ConfigError, match="1 seeds for 2 mels"):
        vocoder(mel, 1, [4])


@pytest.mark.parametrize("seed", [np.int64(4), np.array([4, 5]), torch.tensor([4, 5]), (4, np.int64(5))], ids=repr)
def test_integers_of_all_kinds_are_seeds(seed: object) -> None:
    found = inspect.unwrap(item_seeds)(seed, 2)
    assert found == [4, 5]
    assert all(type(one) is int for one in found)


@pytest.mark.parametrize("seed", [1.5, None, "4", [1.0, 2.0]], ids=repr)
def test_what_is_no_seed(seed: object) -> None:
    with pytest.raises(ConfigError, match=r"^seed is .*; pass a whole number"):
        inspect.unwrap(item_seeds)(seed, 2)


def test_integers_of_all_kinds_are_lengths_and_frames() -> None:
    lengths, frames = inspect.unwrap(item_lengths), inspect.unwrap(item_frames)
    assert lengths(np.int64(7), 2, 9) == lengths(torch.tensor([7, 7]), 2, 9) == frames(np.array([7, 7]), 2, 9) == [7, 7]
    for call in (lengths, frames):
        for given in (1.5, [1.0, 2.0], "7"):
            with pytest.raises(AudioError, match=r"^(length|frames) is .*; pass a whole number"):
                call(given, 2, 9)
    with pytest.raises(AudioError, match=r"^frames 7: one number for each of 2 items"):
        frames(7, 2, 9)


@pytest.mark.parametrize("wanted", [[1e-4, 0.5], (1e-4, 0.5), np.array([1e-4, 0.5]), 6.0, np.int64(6), True], ids=repr)
def test_what_is_no_schedule(vocoder: Vocoder, wanted: object) -> None:
    """Other packages take a list of betas: "unhashable type: 'list'"."""
    with pytest.raises(ConfigError, match=r"^schedule is .*; pass NoiseSchedule\(betas\)"):
        choose_schedule(wanted, vocoder.schedules, "6", vocoder.prior)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_become_float32(mel: Tensor, dtype: torch.dtype, engine: EngineName) -> None:
    """A network in float64 failed in the middle of the reference."""
    other = Vocoder(MEL, tiny_network().to(dtype))
    expected = Vocoder(MEL, tiny_network().to(dtype).float())
    assert torch.equal(other(mel, 2, engine=engine), expected(mel, 2, engine=engine))


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="= 256 samples per frame, but the mel has a hop of 300"):
        Vocoder(MEL, WaveGrad(network_preset("tiny", 128, hop_length=256)))
    with pytest.raises(ConfigError, match="reads 80 mel bands, the front-end makes 128"):
        Vocoder(MEL, WaveGrad(network_preset("tiny", 80, hop_length=300)))
    with pytest.raises(ConfigError, match="unknown default schedule '7'"):
        Vocoder(MEL, tiny_network(), default_schedule="7")


@pytest.mark.parametrize("waveform", [torch.zeros(0), torch.zeros(2, 0), torch.zeros(1, 2, 300), torch.zeros(9).int()])
def test_waveforms_that_are_none(vocoder: Vocoder, waveform: Tensor) -> None:
    with pytest.raises(AudioError, match="waveform"):
        vocoder.mel(waveform)


def test_arrays_and_numbers_are_no_waveforms(vocoder: Vocoder) -> None:
    resynthesize = inspect.unwrap(Vocoder.resynthesize)
    with pytest.raises(AudioError, match=r"^a waveform is a ndarray; pass tensors: torch.from_numpy\(waveform\)"):
        resynthesize(vocoder, np.zeros(300))
    with pytest.raises(AudioError, match="a waveform is `time`"):
        resynthesize(vocoder, torch.tensor(0.0))


def test_a_batch_in_a_list_of_mels_is_refused(vocoder: Vocoder, mel: Tensor) -> None:
    with pytest.raises(AudioError, match=r"a mel of shape \(2, 128, 6\) in a list of single ones"):
        inspect.unwrap(Vocoder.batch)(vocoder, [mel])


def test_a_waveform_with_nan_is_refused(vocoder: Vocoder) -> None:
    with pytest.raises(AudioError, match="not finite"):
        vocoder.resynthesize(torch.tensor([0.0, float("nan"), 0.0]))


def test_bfloat16_is_close(vocoder: Vocoder, mel: Tensor) -> None:
    exact, rounded = vocoder(mel, 6), vocoder(mel, 6, precision="bfloat16")
    assert rounded.dtype == torch.float32
    snr_db = 10 * torch.log10(exact.square().sum() / (exact - rounded).square().sum())
    assert 20 < snr_db < 100  # it is another arithmetic, and a close one


@pytest.mark.parametrize(("units", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_device_has_units_for_it(
    vocoder: Vocoder, mel: Tensor, monkeypatch: pytest.MonkeyPatch, units: bool, expected: Precision
) -> None:
    """To the bit, in every way to call it; without units it works in float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": units})
    speech, level = noisy_speech(2 * HOP), torch.tensor([0.5])

    def audio(precision: PrecisionName) -> list[Tensor]:
        return [
            vocoder(mel, 2, precision=precision),
            vocoder(mel, 2, precision=precision, engine="reference"),
            vocoder(mel, 2, precision=precision, sampler="heun"),
            *vocoder.batch([mel[0], mel[1, :, :4]], 2, precision=precision),
            vocoder.resynthesize(speech, 2, precision=precision),
            torch.cat(list(vocoder.stream(mel[0].split(2, dim=1), 2, precision=precision))),
            vocoder.predict_noise(mel[:1], precision=precision)(noisy_speech(6 * HOP)[None], level),
        ]

    made, wanted = audio("auto"), audio(expected)
    other = audio("bfloat16" if expected == "float32" else "float32")
    assert [torch.equal(a, b) for a, b in zip(made, wanted, strict=True)] == 8 * [True]
    assert [torch.equal(a, b) for a, b in zip(made, other, strict=True)] == 8 * [False]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda vocoder: pickle.loads(pickle.dumps(vocoder))])
def test_pickled_or_copied_it_makes_the_same_audio(vocoder: Vocoder, mel: Tensor, copied: Callable) -> None:
    """Also after a call, when it holds what was prepared for this process."""
    named = replace(vocoder, default_schedule="25", card="# A card", griffin_lim=2)
    audio = named(mel)
    other = copied(named)
    assert other.network is not named.network
    assert (other.default_schedule, other.card, list(other.schedules)) == ("25", "# A card", list(named.schedules))
    assert not other._engines
    assert torch.equal(other(mel), audio)
    with pytest.raises(TypeError, match="does not support item assignment"):
        other.schedules["6"] = other.schedules["25"]


def test_saved_and_loaded_it_makes_the_same_audio(mel: Tensor, tmp_path: Path) -> None:
    schedules = {"fast": NoiseSchedule.log_snr(3), "6": NoiseSchedule.log_snr(6)}
    vocoder = Vocoder(MEL, tiny_network(), PriorConfig("spectral"), schedules, "fast", "# Mine\n")
    vocoder.save_pretrained(tmp_path / "full")
    vocoder.save_pretrained(tmp_path / "half", half=True)
    random_state = torch.random.get_rng_state()
    full, half = (Vocoder.from_pretrained(tmp_path / name) for name in ("full", "half"))
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert (full.default_schedule, full.card, full.prior) == ("fast", "# Mine\n", vocoder.prior)
    audio = vocoder(mel)
    assert torch.equal(full(mel), audio)
    error = (half(mel) - audio).square().mean().sqrt() / audio.square().mean().sqrt()
    assert 0 < error < 1e-2  # 40 dB below the audio


def test_a_directory_whose_parts_do_not_fit_is_refused(vocoder: Vocoder, tmp_path: Path) -> None:
    vocoder.save_pretrained(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    config = json.loads(path.read_text())
    config["mel"]["hop_length"] = 256
    path.write_text(json.dumps(config))
    with pytest.raises(
        CheckpointError, match=r"model: factors .* = 300 samples per frame, but the mel has a hop of 256"
    ):
        Vocoder.from_pretrained(tmp_path / "model")


def test_every_step_is_reported(vocoder: Vocoder, mel: Tensor) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []
    vocoder(mel, 6, on_step=lambda n, y: seen.append((n, tuple(y.shape))))
    assert seen == [(n, (2, 6 * HOP)) for n in (6, 5, 4, 3, 2, 1)]


def test_to_makes_another_vocoder(vocoder: Vocoder, mel: Tensor) -> None:
    other = vocoder.to("cpu")
    assert other.network is not vocoder.network
    assert torch.equal(other(mel, 1), vocoder(mel, 1))
    assert other.device == torch.device("cpu")


def draw_as_a_gpu_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place that draws for a sampler asks which noise belongs to its device."""
    for module in ("diffusion.samplers.sampler", "inference.loop", "inference.streaming.sampler"):
        monkeypatch.setattr(f"wavegrad.{module}.seeded_noise", CounterNoise)


def test_a_cpu_can_draw_the_noise_of_a_gpu(vocoder: Vocoder, mel: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for calls, batches and streams, and not its own."""
    own = vocoder(mel, 6)
    draw_as_a_gpu_does(monkeypatch)
    whole, batch = vocoder(mel, 6), torch.stack(vocoder.batch(list(mel), 6))
    stream = torch.cat(list(vocoder.stream(mel.split(2, dim=2), 6)), dim=1)
    assert (batch - whole).norm() < 1e-5 * whole.norm()
    assert (stream - whole).norm() < 1e-5 * whole.norm()
    assert (whole - own).norm() > 0.1 * own.norm()


@pytest.mark.gpu
def test_the_gpu_makes_the_same_audio(vocoder: Vocoder, mel: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the same noise."""
    on_gpu = vocoder.to("cuda")
    assert vocoder.device.type == "cpu"
    draw_as_a_gpu_does(monkeypatch)
    expected, stream = vocoder(mel, 6), torch.cat(list(on_gpu.stream(mel.split(2, dim=2), 6)), dim=1)
    torch.testing.assert_close(on_gpu(mel, 6).cpu(), expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(stream.cpu(), expected, rtol=0, atol=1e-3)


def test_tables_are_made_once(vocoder: Vocoder, mel: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the check of a mel and of the prior: each call made them anew; and those of Griffin-Lim, which each new
    number of iterations made, and kept."""
    first, brought = vocoder(mel, 2), replace(vocoder)(mel, 2, griffin_lim=2)
    for module in ("mel", "consistency"):
        monkeypatch.setattr(f"wavegrad.audio.{module}.mel_filterbank", None)
    assert torch.equal(vocoder(mel, 2), first)
    assert torch.equal(vocoder(mel, 2, griffin_lim=2), brought)
    with pytest.raises(TypeError, match="not callable"):
        vocoder.to("cpu")(mel, 2)  # a copy may be on another device, and makes its own


def test_threads_may_share_a_vocoder(vocoder: Vocoder, mel: Tensor) -> None:
    from concurrent.futures import ThreadPoolExecutor

    calls = [(n, seed) for n in (2, 6) for seed in (0, 9)]
    alone = [vocoder(mel, n, seed) for n, seed in calls]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda call: vocoder(mel, *call), calls))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def ends_db(schedule: NoiseSchedule) -> tuple[float, float]:
    """10 log10 of the signal-to-noise ratio of level 1 and of level N."""
    first, last = (level**2 for level in schedule.noise_levels[[1, -1]].tolist())
    return 10 * math.log10(first / (1 - first)), 10 * math.log10(last / (1 - last))


@pytest.mark.parametrize("n_steps", [1, 2, 6, 8, 16, 32, 64, 1000])
def test_schedules_of_new_vocoders_end_where_their_prior_lets_them(n_steps: int) -> None:
    """A whitened waveform: 16 dB above the noise up to 8 steps, 9 more for each doubling, at most 40; quiet parts that
    are not whitened always need 60."""
    first = {16: 25.0, 32: 34.0}.get(n_steps, 16.0 if n_steps <= 8 else 40.0)
    for kind, expected in (("standard", (60.0, -22.0)), ("energy", (first, -27.0)), ("spectral", (first, -27.0))):
        found = ends_db(generic_schedule(n_steps, PriorConfig(kind)))
        assert found == pytest.approx(expected if n_steps > 1 else (expected[1],) * 2)


def test_no_steps_are_no_schedule() -> None:
    with pytest.raises(ConfigError, match="n_steps is 0"):
        generic_schedule(0, PriorConfig("spectral"))


def mel_distance(vocoder: Vocoder, audio: Tensor, mel: Tensor) -> float:
    return (vocoder.mel(audio) - mel).abs().mean().item()


def test_griffin_lim_brings_the_audio_to_the_mel(vocoder: Vocoder, mel: Tensor) -> None:
    plain, brought = (vocoder(mel, 2, griffin_lim=n) for n in (0, 8))
    assert brought.shape == plain.shape
    assert mel_distance(vocoder, brought, mel) < 0.3 * mel_distance(vocoder, plain, mel)


def test_griffin_lim_is_the_models_where_none_is_asked_for(vocoder: Vocoder, mel: Tensor) -> None:
    other = replace(vocoder, griffin_lim=3)
    for wanted, found in ((3, None), (0, 0), (1, 1)):
        expected = vocoder(mel, 2, griffin_lim=wanted)
        assert torch.equal(other(mel, 2, griffin_lim=found), expected)
        assert torch.allclose(torch.stack(other.batch(list(mel), 2, griffin_lim=found)), expected, atol=1e-6)
        streamed = torch.cat(list(other.stream([mel], 2, griffin_lim=found)), dim=1)
        assert torch.allclose(streamed, expected, atol=1e-5)
    waveform = noisy_speech(6 * HOP, 1)
    assert torch.equal(other.resynthesize(waveform, 2), vocoder.resynthesize(waveform, 2, griffin_lim=3))
    assert other.look_ahead(2).samples == vocoder.look_ahead(2, 3).samples > vocoder.look_ahead(2).samples


def test_griffin_lim_treats_items_of_different_lengths_as_each_alone(vocoder: Vocoder, mel: Tensor) -> None:
    mels = [mel[0], mel[1, :, :4]]
    for one, made in zip(mels, vocoder.batch(mels, 2, [7, 8], griffin_lim=3), strict=True):
        alone = vocoder(one, 2, 7 if one is mels[0] else 8, griffin_lim=3)
        assert torch.allclose(made, alone, atol=1e-5)


def test_griffin_lim_that_cannot_be(vocoder: Vocoder, mel: Tensor) -> None:
    for call in (
        lambda: vocoder(mel, 2, griffin_lim=-1),
        lambda: vocoder.stream([mel], 2, griffin_lim=-1),
        lambda: vocoder.look_ahead(2, -1),
        lambda: replace(vocoder, griffin_lim=-1),
    ):
        with pytest.raises(ConfigError, match="griffin_lim is -1"):
            call()
    with pytest.raises(ConfigError, match=r"griffin_lim is 32\.0; it must be 0 \(none\) or a number"):
        inspect.unwrap(check_iterations)(32.0, MEL)
