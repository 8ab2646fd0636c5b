"""Bits per sample of a clip: every part that stands between a waveform and the model's density."""

import inspect
import math
from dataclasses import replace

import pytest
import torch

from tests.test_binding import family
from tests.test_vocoder import HOP, noisy_speech
from wavegrad.audio.prior import PriorConfig, PriorGains, prior_gains, whiten, whitening_log_det
from wavegrad.clip_likelihood import clip_likelihood
from wavegrad.errors import AudioError, ConfigError
from wavegrad.vocoder import Vocoder


@pytest.fixture(scope="module")
def vocoder() -> Vocoder:
    return family()


@pytest.fixture(scope="module")
def deaf(vocoder: Vocoder) -> Vocoder:
    """A network that always says 0: its flow stands still, so its density is the start's, N(0, 1) of l_N y_0."""
    copy = replace(vocoder)
    for parameter in copy.network.output_conv.parameters():
        torch.nn.init.zeros_(parameter)
    return copy


def test_the_determinant_of_the_whitening_is_that_of_its_jacobian(vocoder: Vocoder) -> None:
    clip = noisy_speech(2 * HOP)[None]
    gains = prior_gains(vocoder.mel(clip), vocoder.mel_config, vocoder.prior)
    assert gains is not None
    gains = gains.double()
    jacobian = torch.autograd.functional.jacobian(lambda y: whiten(y[None], gains)[0], clip[0].double())
    torch.testing.assert_close(whitening_log_det(gains)[0], torch.linalg.slogdet(jacobian)[1], rtol=1e-9, atol=0)


@pytest.mark.parametrize("kind", ["standard", "energy", "spectral"])
def test_the_density_of_the_waveform_is_that_of_the_whitened_one_times_the_determinant(deaf: Vocoder, kind) -> None:
    """Here the whole density is a Gaussian whose covariance is known: its log-density, from the waveform itself."""
    vocoder = replace(deaf, prior=PriorConfig(kind))
    clip = noisy_speech(2 * HOP)
    found = clip_likelihood(vocoder, clip, 10, method="ode")
    level = vocoder.find_schedule(10).terminal_level
    gains = prior_gains(vocoder.mel(clip[None]), vocoder.mel_config, vocoder.prior)
    y = clip.double()
    whitening = torch.autograd.functional.jacobian(
        lambda y: whiten(y[None], None if gains is None else gains.double())[0], y
    )
    precision = level**2 * whitening.T @ whitening
    log_p = torch.distributions.MultivariateNormal(torch.zeros_like(y), precision_matrix=precision).log_prob(y)
    assert found.waveform == pytest.approx(-log_p.item() / math.log(2) / len(y), abs=1e-4)  # the model's is float32
    if kind == "standard":
        assert found.log_gain == 0


def test_the_terms_add_up_and_the_seed_decides(vocoder: Vocoder) -> None:
    clip = noisy_speech(5 * HOP)
    found = clip_likelihood(vocoder, clip, 4)
    assert len(found.terms) == 5
    assert sum(found.terms) == pytest.approx(found.whitened)
    assert found.waveform == found.whitened + found.log_gain
    assert clip_likelihood(vocoder, clip, 4) == found
    assert clip_likelihood(vocoder, clip, 4, seed=1) != found
    assert clip_likelihood(vocoder, clip, 4, method="ode") == clip_likelihood(vocoder, clip, 4, method="ode")


def test_a_learned_variance_is_used(vocoder: Vocoder) -> None:
    clip = noisy_speech(3 * HOP)
    found = [clip_likelihood(v, clip, 3).terms for v in (vocoder, family(learned_variance=True))]
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)  # the decoder's variance is fixed
    assert abs(found[0][1] - found[1][1]) > 1e-3


@pytest.mark.parametrize("method", ["bound", "ode"])
def test_the_tables_of_the_prior_are_those_of_the_vocoder(method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made once, also by a call without gradients, and the density of the next clip may need some."""
    made: list[PriorConfig] = []
    plain = PriorGains.__init__
    monkeypatch.setattr(
        PriorGains, "__init__", lambda self, mel, config: made.append(config) or plain(self, mel, config)
    )
    vocoder, clip = replace(family(), prior=PriorConfig("spectral")), noisy_speech(3 * HOP)
    expected = clip_likelihood(replace(vocoder), clip, 2, method=method)
    made.clear()
    vocoder(vocoder.mel(clip), 2)
    assert clip_likelihood(vocoder, clip, 2, method=method) == expected
    assert len(made) == 1


def test_what_is_left_of_a_frame_is_not_judged(vocoder: Vocoder) -> None:
    clip = noisy_speech(3 * HOP + 17)
    assert clip_likelihood(vocoder, clip, 2) == clip_likelihood(vocoder, clip[: 3 * HOP], 2)
    assert clip_likelihood(vocoder, clip, 2).n_samples == 3 * HOP


def test_what_makes_no_sense_is_refused(vocoder: Vocoder) -> None:
    with pytest.raises(AudioError, match="299 samples are less than a frame, 300"):
        clip_likelihood(vocoder, torch.zeros(299), 2)
    with pytest.raises(ConfigError, match="unknown method 'flow'"):
        inspect.unwrap(clip_likelihood)(vocoder, torch.zeros(300), 2, method="flow")
