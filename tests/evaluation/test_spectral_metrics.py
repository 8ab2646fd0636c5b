"""Distances of spectra and cepstra against closed forms, scipy, librosa and a plain dynamic programme."""

import math

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal
import torch

from wavegrad.audio import MelSpectrogram, mel_preset
from wavegrad.errors import AudioError
from wavegrad.evaluation import METRICS
from wavegrad.evaluation.cepstrum import DB_PER_CEPSTRUM, mel_cepstra

RATE = 24000


def noise(seed: int, n: int = RATE // 2) -> torch.Tensor:
    return 0.2 * torch.randn(n, generator=torch.Generator().manual_seed(seed))


def figure(key: str, reference: torch.Tensor, generated: torch.Tensor, rate: int = RATE) -> float:
    return METRICS[key].compute(reference, generated, rate)


@pytest.mark.parametrize("key", ["log_mel_db", "mrstft", "lsd_db", "mcd_db", "mcd_dtw_db"])
def test_a_distance_is_nothing_to_itself_and_something_to_others(key):
    near, far = noise(0) + 0.01 * noise(1), noise(0) + 0.1 * noise(1)
    assert figure(key, noise(0), noise(0)) == pytest.approx(0, abs=1e-9)
    assert 0 < figure(key, noise(0), near) < figure(key, noise(0), far)


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_in_closed_form(gain):
    """Spectral convergence is |1 - g|, the log magnitudes differ by |ln g| everywhere, the level is not in MCD."""
    x = noise(0)
    assert figure("mrstft", x, gain * x) == pytest.approx(abs(1 - gain) + abs(math.log(gain)), rel=1e-5)
    assert figure("lsd_db", x, gain * x) == pytest.approx(20 * abs(math.log10(gain)), rel=1e-5)
    assert figure("mcd_db", x, gain * x) == pytest.approx(0, abs=1e-4)


def test_multi_resolution_stft_is_that_of_scipy():
    """Table 1 of Parallel WaveGAN written out, on scipy's transform; convergence is relative to the reference."""
    x, y = noise(0).double(), (noise(0) + 0.1 * noise(1)).double()
    terms = []
    for n_fft, hop, win in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        stft = scipy.signal.ShortTimeFFT(scipy.signal.get_window("hann", win), hop, fs=1, mfft=n_fft)
        pad = n_fft // 2
        frames = 1 + len(x) // hop

        def magnitude(signal, pad=pad, hop=hop, frames=frames, n_fft=n_fft, window=stft.win, win=win):
            padded = np.pad(signal.numpy(), pad, mode="reflect")
            left = (n_fft - win) // 2
            cut = [padded[k * hop + left : k * hop + left + win] * window for k in range(frames)]
            return np.abs(scipy.fft.rfft(np.array(cut), n_fft))

        a, b = (np.maximum(magnitude(z), 1e-4) for z in (x, y))
        terms += [np.linalg.norm(a - b) / np.linalg.norm(a), np.abs(np.log(a) - np.log(b)).mean()]
    assert figure("mrstft", x.float(), y.float()) == pytest.approx(sum(terms) / 3, rel=1e-5)


def test_log_spectral_distance_is_that_of_librosa():
    x, y = noise(0), noise(0) + 0.3 * noise(1)
    spectra = [
        np.abs(librosa.stft(z.numpy(), n_fft=1024, hop_length=192, win_length=768, pad_mode="reflect")) / (768 / 4)
        for z in (x, y)
    ]
    a, b = (20 * np.log10(np.maximum(s, 1e-5)) for s in spectra)
    assert figure("lsd_db", x, y) == pytest.approx(np.sqrt(((a - b) ** 2).mean(0)).mean(), rel=1e-4)


def test_the_floor_of_the_log_spectral_distance_is_100_db_below_a_sine():
    """A loud sine against one 100 dB lower: inaudible noise of -140 dB, or none at all, is the same figure."""
    time = torch.arange(RATE) / RATE
    loud = torch.sin(2 * math.pi * 1000 * time)
    quiet, noisy = 1e-6 * loud, 1e-6 * loud + 1e-8 * noise(0, RATE)
    assert figure("lsd_db", loud, quiet) == figure("lsd_db", loud, noisy)
    assert figure("lsd_db", 1e-5 * loud, 1e-6 * loud) < 1


@pytest.mark.parametrize("order", [1, 5, 13])
def test_a_ripple_of_the_envelope_is_one_coefficient(monkeypatch, order):
    """log S_k moved by a cos(pi m (k + 1/2) / M): c_m moves by a, and MCD is the ripple's rms, a / sqrt 2, in dB."""
    bands = torch.arange(128) + 0.5
    ripple = 0.3 * torch.cos(math.pi * order * bands / 128)
    plain = torch.randn(1, 128, 40, generator=torch.Generator().manual_seed(0))
    mels = iter((plain, plain + ripple[:, None] + 2.0))
    monkeypatch.setattr("wavegrad.evaluation.cepstrum.MelSpectrogram", lambda config: lambda waveform: next(mels))
    value = figure("mcd_db", noise(0), noise(1))
    assert value == pytest.approx(20 / math.log(10) * 0.3 / math.sqrt(2), rel=1e-5)


def test_the_fourteenth_coefficient_does_not_count(monkeypatch):
    ripple = torch.cos(math.pi * 14 * (torch.arange(128) + 0.5) / 128)
    mels = iter((torch.zeros(1, 128, 40), ripple[None, :, None].expand(1, 128, 40)))
    monkeypatch.setattr("wavegrad.evaluation.cepstrum.MelSpectrogram", lambda config: lambda waveform: next(mels))
    assert figure("mcd_db", noise(0), noise(1)) == pytest.approx(0, abs=1e-5)


def test_mel_cepstra_are_scipys_cosine_transform():
    mel = MelSpectrogram(mel_preset("wavegrad-24k"))(noise(0)[None])[0].double().numpy()
    expected = scipy.fft.dct(mel, type=2, axis=0)[1:14] / 128  # scipy's has a factor 2
    np.testing.assert_allclose(mel_cepstra(noise(0), RATE).numpy(), expected, atol=1e-9)


def test_mcd_dtw_is_a_plain_dynamic_programme():
    x, y = noise(0, 6000), noise(1, 6300)
    a, b = (mel_cepstra(z, RATE).T.numpy() for z in (x, y[:6000]))
    cost = np.linalg.norm(a[:, None] - b[None], axis=2)
    total = np.full((len(a) + 1, len(b) + 1), np.inf)
    total[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    i, j, n = len(a), len(b), 1
    while (i, j) != (1, 1):
        i, j = min(((i - 1, j - 1), (i - 1, j), (i, j - 1)), key=lambda at: total[at])
        n += 1
    assert figure("mcd_dtw_db", x, y) == pytest.approx(DB_PER_CEPSTRUM * total[-1, -1] / n, rel=1e-6)


def test_warping_forgives_a_delay():
    """Noise whose colour changes every 0.1 s, 40 ms late: the frames meet again, but for the ends and the noise."""
    steps = [scipy.signal.lfilter([1], [1, pole], noise(i, 2400).numpy()) for i, pole in enumerate((0.9, -0.9) * 4)]
    x = torch.from_numpy(np.concatenate(steps)).float()
    late = torch.cat((noise(9, 960), x))[: len(x)]
    plain, warped = figure("mcd_db", x, late), figure("mcd_dtw_db", x, late)
    assert warped < 0.6 * plain
    assert figure("mcd_dtw_db", x, x) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("key", ["mrstft", "lsd_db"])
@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_figures_hardly_depend_on_the_rate(key, rate):
    """White noise with other white noise in it: the same share of error at every rate."""
    x, e = noise(0, rate), noise(1, rate)
    assert figure(key, x, x + 0.1 * e, rate) == pytest.approx(
        figure(key, noise(0, RATE), noise(0, RATE) + 0.1 * noise(1, RATE)), rel=0.15
    )


@pytest.mark.parametrize("key", METRICS)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.index_fill(0, torch.tensor([5, 7]), float("nan")), "2 of the 12000 samples of the {} are not"),
        (lambda x: x.index_fill(0, torch.tensor([5]), float("inf")), "1 of the 12000 samples of the {} are not finite"),
        (torch.zeros_like, "the {} is silent: each of its 12000 samples is 0"),
    ],
)
def test_what_no_metric_judges_is_refused_on_either_side(key, spoil, message):
    if METRICS[key].missing():
        pytest.skip(f"{key} needs {METRICS[key].missing()}")
    for side, pair in (("reference", (spoil(noise(0)), noise(0))), ("generated audio", (noise(0), spoil(noise(0))))):
        with pytest.raises(AudioError, match=message.format(side)):
            METRICS[key].compute(*pair, RATE)
    with pytest.raises(AudioError, match=r"1200 samples are 0\.05 s; metrics need at least 0\.1 s"):
        METRICS[key].compute(noise(0, 1200), noise(0, 1200), RATE)
    with pytest.raises(AudioError, match="12000 samples were generated for 14000"):
        METRICS[key].compute(noise(0, 14000), noise(0), RATE)
