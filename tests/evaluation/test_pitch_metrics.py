"""Pitch metrics: definitions written out on made tracks, and signals whose pitch is known."""

import functools
import math

import numpy as np
import pytest
import torch

from wavegrad.evaluation import METRICS, find_metrics
from wavegrad.evaluation.f0_rmse import rmse_cents
from wavegrad.evaluation.ffe import frame_error
from wavegrad.evaluation.measure import measure
from wavegrad.evaluation.periodicity import rms_difference
from wavegrad.evaluation.pitch import Pitch, pitches
from wavegrad.evaluation.vuv_f1 import f1

RATE = 16000
NONE = float("nan")


def track(*f0_hz: float) -> Pitch:
    f0 = np.array(f0_hz, np.float64)
    return Pitch(f0, np.isfinite(f0).astype(float))


@functools.cache
def voice(f0_hz: float, noise: float = 0.003) -> torch.Tensor:
    """0.4 s of harmonics that fall by 1 / k, between two pauses of 0.15 s of noise."""
    time = torch.arange(6400) / RATE
    partials = range(1, int(7000 / f0_hz))
    tone = sum(torch.sin(2 * math.pi * k * f0_hz * time) / k for k in partials) * 0.2
    hiss = torch.randn(11200, generator=torch.Generator().manual_seed(int(f0_hz)))
    return torch.cat((torch.zeros(2400), tone, torch.zeros(2400))) + noise * hiss


def test_cents_count_where_both_are_voiced():
    """An octave is 1200 cents, up or down; frames that are voiced in one only do not count."""
    reference, generated = track(100, 100, 100, NONE, NONE), track(200, 50, NONE, 100, NONE)
    assert rmse_cents(reference, generated) == pytest.approx(1200)
    assert rmse_cents(track(100, 100), track(100, 100 * 2 ** (1 / 12))) == pytest.approx(100 / math.sqrt(2))


def test_frame_error_adds_voicing_and_gross_errors():
    """Of six frames: right, unvoiced in both, missed, false, 25 % off, 19 % off: three are wrong. The share is of the
    reference's pitch: 100 Hz for 80 Hz is gross, 80 Hz for 100 Hz is just not."""
    reference = track(100, NONE, 100, NONE, 100, 100)
    assert frame_error(reference, track(100, NONE, NONE, 100, 125, 119)) == pytest.approx(3 / 6)
    assert frame_error(track(80), track(100)) == 1
    assert frame_error(track(100), track(80)) == 0
    assert frame_error(reference, reference) == 0


def test_f1_of_voicing_is_that_of_precision_and_recall():
    """Three hits, one miss, two false alarms."""
    reference, generated = track(1, 1, 1, 1, NONE, NONE, NONE), track(1, 1, 1, NONE, 1, 1, NONE)
    precision, recall = 3 / 5, 3 / 4
    assert f1(reference, generated) == pytest.approx(2 * precision * recall / (precision + recall))
    assert f1(reference, track(*[NONE] * 7)) == 0


def test_periodicity_is_a_root_mean_square_over_all_frames():
    reference = Pitch(np.array([NONE, 100.0]), np.array([0.1, 0.9]))
    generated = Pitch(np.array([100.0, NONE]), np.array([0.4, 0.5]))
    assert rms_difference(reference, generated) == pytest.approx(math.sqrt((0.09 + 0.16) / 2))


def test_where_there_is_no_voice_there_is_no_figure():
    assert math.isnan(rmse_cents(track(100, NONE), track(NONE, 100)))
    assert math.isnan(f1(track(NONE), track(100)))
    assert f1(track(100), track(NONE)) == 0  # a voice that is lost counts
    hiss = 0.05 * torch.randn(6400, generator=torch.Generator().manual_seed(0))
    values, complaints = measure(hiss, 0.5 * hiss, RATE, find_metrics(("f0_rmse_cents", "vuv_f1", "ffe")))
    assert (values, complaints) == ({"ffe": 0.0}, [])


@pytest.mark.parametrize("f0_hz", [110.0, 311.1])
def test_the_pitch_of_harmonics_is_found(f0_hz):
    """Within a bin of 10 cents, over the 40 frames of the tone and not in the pauses (frames of 64 ms blur 3)."""
    pitch, other = pitches(voice(f0_hz), voice(f0_hz), RATE)
    assert other is pitch, "looked for twice"
    assert len(pitch.f0_hz) == 1 + 11200 // 160
    assert not pitch.voiced[:11].any()
    assert not pitch.voiced[-11:].any()
    assert pitch.voiced[18:-18].all()
    assert np.abs(1200 * np.log2(pitch.f0_hz[18:-18] / f0_hz)).max() < 10
    assert pitch.periodicity[18:-18].min() > 0.3 > pitch.periodicity[:11].max()


def test_a_detuned_voice_is_as_many_cents_off():
    """50 cents, to within the 10 of a bin; voicing as before."""
    pair = voice(200.0), voice(200.0 * 2 ** (50 / 1200))
    assert METRICS["f0_rmse_cents"].compute(*pair, RATE) == pytest.approx(50, abs=10)
    assert METRICS["ffe"].compute(*pair, RATE) < 0.06
    assert METRICS["vuv_f1"].compute(*pair, RATE) > 0.95
    assert METRICS["periodicity"].compute(*pair, RATE) < 0.15


def test_an_octave_is_a_gross_error_and_a_whisper_a_voicing_error():
    """The tone is 0.4 of 0.7 s; frames at its edges may go either way."""
    reference = voice(200.0)
    octave, whisper = voice(400.0), 0.05 * torch.randn(11200, generator=torch.Generator().manual_seed(1))
    assert METRICS["f0_rmse_cents"].compute(reference, octave, RATE) == pytest.approx(1200, abs=15)
    assert METRICS["ffe"].compute(reference, octave, RATE) == pytest.approx(4 / 7, abs=0.1)
    assert METRICS["vuv_f1"].compute(reference, octave, RATE) > 0.95
    assert METRICS["ffe"].compute(reference, whisper, RATE) == pytest.approx(4 / 7, abs=0.1)
    assert METRICS["vuv_f1"].compute(reference, whisper, RATE) < 0.2
    assert METRICS["periodicity"].compute(reference, whisper, RATE) > 0.5
