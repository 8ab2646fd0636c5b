"""What makes two mels of one recording differ is named, whichever of them is the changed one."""

from dataclasses import replace
from functools import cache
from itertools import permutations

import pytest
import soundfile
import torch
from torch import Tensor

from tests.cli.conftest import SPEECH
from wavegrad.audio import MEL_PRESETS, MelSpectrogram, mel_preset
from wavegrad.audio.log_units import DB_PER_UNIT, change_of_unit
from wavegrad.audio.mel_compare import compare_mels
from wavegrad.audio.mel_fit import fit_presets, mel_at
from wavegrad.errors import AudioError

BASE = mel_preset("wavegrad-24k")
CLIP = torch.from_numpy(soundfile.read(SPEECH / "kathleen.flac", dtype="float32")[0])

CONVENTIONS = {
    "base": (BASE, set()),
    "log10": (replace(BASE, log="log10"), {"log"}),
    "dB": (replace(BASE, log="db"), {"log"}),
    "power": (replace(BASE, power=2.0, floor=1e-10), {"power"}),
    "window": (replace(BASE, win_length=1024), {"window"}),
    "short window": (replace(BASE, win_length=600), {"window", "gain"}),
    "htk": (replace(BASE, mel_scale="htk"), {"range"}),
    "f_max": (replace(BASE, f_max=8000.0), {"range"}),
    "norm": (replace(BASE, mel_norm="none"), {"norm"}),
    "floor": (replace(BASE, floor=1e-3), {"floor"}),
    "hop": (replace(BASE, hop_length=256), {"hop"}),
    "centring": (replace(BASE, centring="center"), {"length", "offset"}),
}
"""A change of the front-end, and what has to be found: no less, and no more."""


@cache
def mel_of(name: str) -> Tensor:
    return MelSpectrogram(CONVENTIONS[name][0])(CLIP[None])[0]


def changed(name: str) -> Tensor:
    """Changes that no front-end makes."""
    mel = mel_of("base")
    return {
        "min-max": lambda: (mel - mel.min()) / (mel.max() - mel.min()),
        "symmetric": lambda: 8 * (mel - mel.min()) / (mel.max() - mel.min()) - 4,
        "standardised": lambda: (mel - mel.mean()) / mel.std(),
        "bare factor": lambda: 0.7 * mel + 1,
        "16 bits": lambda: mel + 10.397,
        "transposed": lambda: mel.T,
        "late": lambda: torch.cat((mel[:, :1].expand(-1, 3), mel[:, :-3]), 1),
        "-inf": lambda: mel.where(mel > -9, -torch.inf),
        "shorter": lambda: mel[:, :-40],
        "batch of one": lambda: mel[None][0],
    }[name]()


CHANGES = {
    "min-max": {"normalised"},
    "symmetric": {"normalised"},
    "standardised": {"normalised"},
    "bare factor": {"normalised"},
    "16 bits": {"gain"},
    "transposed": {"transposed"},
    "late": {"offset"},
    "-inf": {"not finite", "floor"},
    "shorter": {"length"},
    "batch of one": {"same"},
}


def kinds(a: Tensor, b: Tensor) -> set[str]:
    return {finding.kind for finding in compare_mels(a, b).findings}


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_change_of_the_front_end_is_named_both_ways(name: str) -> None:
    expected = CONVENTIONS[name][1] or {"same"}
    assert kinds(mel_of("base"), mel_of(name)) == expected
    assert kinds(mel_of(name), mel_of("base")) == expected


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_values_is_named_both_ways(name: str) -> None:
    assert kinds(mel_of("base"), changed(name)) == CHANGES[name]
    assert kinds(changed(name), mel_of("base")) == CHANGES[name]


@pytest.mark.parametrize(
    ("first", "second"), list(permutations(["log10", "dB", "power", "window", "htk", "floor", "hop"], 2))
)
def test_of_two_changed_mels_both_changes_are_named(first: str, second: str) -> None:
    """Window beside others may pass for what they leave over, and decibels are the same of magnitudes and of powers."""
    found = kinds(mel_of(first), mel_of(second))
    expected = CONVENTIONS[first][1] | CONVENTIONS[second][1]
    if {"range", "hop", "power"} & expected:
        expected -= {"window"}
    if "dB" in (first, second):
        expected -= {"power"}
    assert expected <= found
    assert "content" not in found


def test_the_texts_say_which_is_which() -> None:
    def text(b: str) -> str:
        return " ".join(f.text for f in compare_mels(mel_of("base"), mel_of(b)).findings)

    assert "A is in ln, B in log10; B = 0.4343 A" in text("log10")
    assert "A is in ln of magnitudes, B in dB; B = 8.686 A" in text("dB")
    assert "A adds up magnitudes, B powers" in text("power")
    assert "mel scale htk in B for slaney in A" in text("htk")
    assert "f_max 8000 Hz in B for 12000 Hz in A" in text("f_max")
    assert "hop 256 in B for 300 in A" in text("hop")
    assert "A changes more slowly" in text("window")
    assert "of B lies on its floor, -6.908" in text("floor")
    late = compare_mels(mel_of("base"), changed("late")).findings[0].text
    assert late == "offset: B is 3.0 frames late"


def test_an_affine_change_is_undone_by_the_fit() -> None:
    comparison = compare_mels(mel_of("base"), 3.0 * mel_of("base") - 5.0)
    assert comparison.scale == pytest.approx(3, rel=1e-6)
    assert comparison.offset == pytest.approx(-5, abs=1e-4)
    assert comparison.residual < 1e-3


@pytest.mark.parametrize(("a", "b"), [("base", "late"), ("late", "base")])
def test_a_lag_is_undone_before_the_fit(a: str, b: str) -> None:
    """3 frames late and nothing else: all but the padded start is explained."""
    mels = {"base": mel_of("base"), "late": changed("late")}
    assert compare_mels(mels[a], mels[b]).residual < 0.01


def test_other_audio_is_not_explained() -> None:
    other = torch.from_numpy(soundfile.read(SPEECH / "nathalie.flac", dtype="float32")[0])
    assert "content" in kinds(mel_of("base"), MelSpectrogram(BASE)(other[None])[0])


def test_factors_between_logarithms() -> None:
    """Every pair of units is told from its factor; the inverse factor tells the inverse."""
    for (log_a, sum_a), unit_a in DB_PER_UNIT.items():
        for (log_b, sum_b), unit_b in DB_PER_UNIT.items():
            found = {kind for kind, _ in change_of_unit(unit_a / unit_b) or ()}
            assert ("log" in found) == (log_a != log_b)
            assert ("power" in found) == (sum_a != sum_b and "" not in (sum_a, sum_b))
    assert change_of_unit(0.0898) is None


@pytest.mark.parametrize("preset", ["hifigan-22k", "ivanvovk-22k"])
def test_the_preset_of_a_mel_is_found_by_its_audio(preset: str) -> None:
    """Rounded to float16, as mels are often kept."""
    mel = mel_at(CLIP, 24000, mel_preset(preset)).half().float()
    fits = fit_presets(mel, CLIP, 24000)
    assert len(fits) == len(MEL_PRESETS)
    assert fits[0].name == preset
    assert fits[0].difference_db is not None
    assert fits[0].difference_db < 0.1
    assert all(fit.difference_db is None or fit.difference_db > 0.5 for fit in fits[1:])


def test_a_mel_of_no_preset_is_explained_from_the_nearest() -> None:
    """Tacotron's mel, in decimal logarithms and time first: that of HiFi-GAN, with four changes."""
    config = replace(mel_preset("hifigan-22k"), centring="center", log="log10")
    best = fit_presets(mel_at(CLIP, 24000, config).T, CLIP, 24000)[0]
    assert best.name == "hifigan-22k"
    assert {f.kind for f in best.comparison.findings} == {"transposed", "length", "offset", "log"}


@pytest.mark.parametrize(
    ("mel", "message"),
    [
        (torch.zeros(128, 9), "same value everywhere"),
        (torch.rand(128, 3), "128 bands and 3 frames"),
        (torch.full((128, 9), torch.nan), "none of its values is finite"),
    ],
)
def test_what_cannot_be_compared(mel: Tensor, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        compare_mels(torch.rand(128, 9), mel)
