"""Metrics of learned and of published listeners: each hears that noise is worse, and says what it cannot judge."""

from pathlib import Path

import pystoi
import pytest
import soundfile
import torch

from wavegrad.errors import AudioError, ConfigError
from wavegrad.evaluation import METRICS, find_metrics
from wavegrad.evaluation.wer import MODEL_FILES, VARIABLE, wer_metric, whisper, word_error_rate, words

SPEECH = Path(__file__).parents[2] / "samples" / "reference" / "kathleen.flac"
RATE = 24000


@pytest.fixture(scope="module")
def speech() -> torch.Tensor:
    return torch.from_numpy(soundfile.read(SPEECH, dtype="float32")[0])[: RATE * 2]


@pytest.fixture(scope="module")
def noisy(speech: torch.Tensor) -> torch.Tensor:
    """With a sample beyond 1, which DNSMOS's package refuses and a vocoder may make."""
    noisy = speech + 0.03 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    noisy[len(noisy) // 2] = 1.01
    return noisy


def metric(key: str):
    found = METRICS[key]
    if found.missing():
        pytest.skip(f"{key} needs {', '.join(found.missing())}")
    return found.compute


@pytest.mark.parametrize(
    ("key", "clean_at_least", "noisy_at_most"),
    [("dnsmos", 2.5, 2.0), ("distillmos", 3.5, 2.5), ("visqol", 4.0, 2.5), ("speaker_similarity", 0.9999, 0.9)],
)
def test_noise_is_worse_than_speech(speech, noisy, key, clean_at_least, noisy_at_most):
    """Wide bounds, from the meaning of a five-point scale, not from what was measured once; 1 is the same voice."""
    compute = metric(key)
    assert clean_at_least < compute(speech, speech, RATE) <= 5
    assert compute(speech, noisy, RATE) < noisy_at_most


def test_another_voice_is_less_alike(speech):
    compute = metric("speaker_similarity")
    other, _ = soundfile.read(SPEECH.with_name("flemishguy.flac"), dtype="float32")
    assert compute(speech, torch.from_numpy(other)[: len(speech)], RATE) < 0.8


def test_estoi_is_that_of_its_package(speech, noisy):
    expected = pystoi.stoi(speech.numpy(), noisy.numpy(), RATE, extended=True)
    assert METRICS["estoi"].compute(speech, noisy, RATE) == pytest.approx(expected, abs=5e-3)
    assert METRICS["estoi"].compute(speech, noisy, RATE) < METRICS["stoi"].compute(speech, noisy, RATE)
    short = 0.2 * torch.randn(6000, generator=torch.Generator().manual_seed(0))
    with pytest.raises(AudioError, match=r"^ESTOI: less than 0\.4 s"):
        METRICS["estoi"].compute(short, short, RATE)


def test_word_errors_are_counted_in_words(speech, noisy):
    """ "the cat sat down" heard as "a cat sat": one other word, one left out, of four."""
    pytest.importorskip("jiwer")
    languages = []

    def transcribe(samples, language):
        languages.append(language)
        return ("The cat -- sat down!", "nl") if len(languages) % 2 else (" a cat, SAT", "en")

    assert word_error_rate(speech, noisy, RATE, transcribe) == pytest.approx(2 / 4)
    assert languages == [None, "nl"], "the generated speech is in the language of the reference"
    assert word_error_rate(speech, speech, RATE, lambda *_: ("one Two", "en")) == 0
    with pytest.raises(AudioError, match="WER: no word is heard in the reference"):
        word_error_rate(speech, speech, RATE, lambda *_: (" ... ", "en"))


def test_words_are_lower_case_and_keep_their_apostrophes():
    assert words("  Don\N{RIGHT SINGLE QUOTATION MARK}t - 'stop', Zoë!") == "don't stop zoë"


def test_a_recogniser_is_never_fetched(speech, tmp_path, monkeypatch):
    """Without its tokenizer faster-whisper would ask the network for one; with an empty name, for a model."""
    pytest.importorskip("faster_whisper")
    for name in MODEL_FILES[:2]:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ConfigError, match=rf"{tmp_path}: no tokenizer.json; set {VARIABLE} to the directory"):
        wer_metric(tmp_path).compute(speech, speech, RATE)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"{tmp_path}: no faster-whisper model: "):
        whisper(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "elsewhere"))
    with pytest.raises(ConfigError, match=r"elsewhere: no model\.bin, config\.json, tokenizer\.json"):
        METRICS["wer"].compute(speech, speech, RATE)
    monkeypatch.delenv(VARIABLE)
    with pytest.raises(ConfigError, match=rf"no model\.bin, config\.json, tokenizer\.json; set {VARIABLE}"):
        METRICS["wer"].compute(speech, speech, RATE)


def test_what_is_missing_is_said_with_what_to_do(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (wer,) = find_metrics(["wer"])
    assert wer.missing()[-1] == VARIABLE
    assert wer.install == (
        "pip install 'wavegrad-vocoder[eval-large]', "
        "and set WAVEGRAD_WHISPER to the directory of a faster-whisper model"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert METRICS["distillmos"].missing() == ("distillmos",)
    assert METRICS["distillmos"].install == "pip install 'wavegrad-vocoder[eval-large]'"
    assert METRICS["mcd_db"].missing() == ()
