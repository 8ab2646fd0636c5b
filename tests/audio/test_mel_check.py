"""A mel in another convention is refused or warned about; no mel of a real sound is."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from wavegrad.audio import MEL_PRESETS, MelSpectrogram, mel_preset
from wavegrad.audio.mel_check import MelWarning, check_mel, check_mel_blocks, units_per_db
from wavegrad.errors import AudioError

RATE = 24000
CONFIG = mel_preset("wavegrad-24k")
UNITS_PER_DB = math.log(10) / 20  # natural logarithm of a magnitude
TIME = torch.arange(RATE) / RATE
NOISE = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
SOUNDS = {
    "silence": torch.zeros(RATE),
    "last bit": NOISE.sign() / 32768,
    "white noise": 0.1 * NOISE,
    "loud noise": NOISE.clamp(-1, 1),
    "full-scale sine": torch.sin(2 * math.pi * 1000 * TIME),
    "full-scale square": torch.sin(2 * math.pi * 200 * TIME).sign(),
    "clicks": (torch.arange(RATE) % 100 == 0).float(),
    "DC": torch.ones(RATE),
    "half silent": 0.1 * NOISE * (TIME < 0.5),
}


def mel_of(sound: Tensor) -> Tensor:
    return MelSpectrogram(CONFIG)(sound[None])


@pytest.mark.parametrize("name", SOUNDS)
def test_real_sounds_pass(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_mel(mel_of(SOUNDS[name]), CONFIG)
        check_mel(mel_of(SOUNDS[name])[0, :, :1], CONFIG)


def test_arrays_are_no_tensors() -> None:
    with pytest.raises(AudioError, match=r"^a mel is a ndarray; pass tensors: torch.from_numpy\(mel\)$"):
        check_mel(mel_of(NOISE).numpy(), CONFIG)


def speech_like() -> Tensor:
    """A mel with the contrast of speech, of 80 frames."""
    return mel_of(NOISE * 10 ** (-2.5 + 1.8 * torch.sin(9 * TIME)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda mel: mel * 20 / math.log(10), id="decibels"),
        pytest.param(lambda mel: 100 * (mel + 11.5) / 15, id="percent"),
        pytest.param(lambda mel: mel * 2, id="a power floored at 1e-10"),
        pytest.param(lambda mel: 1000 * mel.exp(), id="linear"),
        pytest.param(lambda mel: mel + math.log(32768), id="16-bit samples"),
    ],
)
def test_other_conventions_are_refused(change: Callable[[Tensor], Tensor]) -> None:
    mel = speech_like()
    mel[..., :3] = CONFIG.minimum  # silence, as at the start of a recording
    check_mel(mel, CONFIG)
    with pytest.raises(
        AudioError, match=r"lie between -11\.51 \(silence\) and 3\.497 .* another convention; make mels with"
    ):
        check_mel(change(mel), CONFIG)


@pytest.mark.parametrize("db", [5, 15, -5, -15])
def test_a_little_outside_is_warned_about(db: float) -> None:
    """By 3 to 20 dB beyond full scale, or below silence."""
    edge = CONFIG.maximum_plausible if db > 0 else CONFIG.minimum
    mel = speech_like()
    mel[0, 3, 4] = edge + db * UNITS_PER_DB
    with pytest.warns(MelWarning, match=f"{abs(db)} dB outside; make mels with"):
        check_mel(mel, CONFIG)
    mel[0, 3, 4] = edge + math.copysign(2.9, db) * UNITS_PER_DB
    check_mel(mel, CONFIG)
    mel[0, 3, 4] = edge + math.copysign(20.1, db) * UNITS_PER_DB
    with pytest.raises(AudioError):
        check_mel(mel, CONFIG)


def test_a_mel_scaled_to_0_1_is_warned_about() -> None:
    mel = speech_like()
    scaled = (mel - mel.min()) / (mel.max() - mel.min())
    with pytest.warns(MelWarning, match="run from 0 to 1; .* without contrast"):
        check_mel(scaled, CONFIG)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((128,), r"got torch.float32, \(128,\)"),
        ((1, 1, 128, 9), r"got torch.float32, \(1, 1, 128, 9\)"),
        ((80, 9), r"has 80 bands \(shape \(80, 9\)\), the model reads 128; make mels with"),
        ((2, 9, 128), r"has 9 bands \(shape \(2, 9, 128\)\), the model reads 128; it seems transposed: pass mel.mT"),
        ((128, 0), r"is empty: \(128, 0\)"),
        ((0, 128, 9), r"is empty: \(0, 128, 9\)"),
    ],
)
def test_shapes_that_are_no_mel(shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(AudioError, match=reason):
        check_mel(torch.zeros(shape), CONFIG)


def test_a_mel_without_values() -> None:
    with pytest.raises(AudioError, match=r"of shape \(128, 9\) is on the device 'meta', without values; pass one on"):
        check_mel(torch.zeros(128, 9, device="meta"), CONFIG)


def test_whole_numbers_are_no_mel() -> None:
    with pytest.raises(AudioError, match=r"of floats; got torch\.int64"):
        check_mel(torch.zeros(128, 9, dtype=torch.int64), CONFIG)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_values_that_are_not_finite(value: str) -> None:
    mel = speech_like()
    mel[0, 5, 7] = float(value)
    mel[0, 6, 7] = float("nan")
    with pytest.raises(
        AudioError, match=rf"2 of the 10240 mel values are not finite; the first is {value} at \(0, 5, 7\)"
    ):
        check_mel(mel, CONFIG)


@pytest.mark.parametrize("preset", MEL_PRESETS)
def test_units_per_db(preset: str) -> None:
    config = mel_preset(preset)
    quiet, loud = (MelSpectrogram(config)(level * NOISE[None]) for level in (0.05, 0.05 * 10**0.05))
    inside = (quiet > config.minimum) & (loud < config.maximum_plausible)
    torch.testing.assert_close((loud - quiet)[inside].mean().item(), units_per_db(config), rtol=1e-3, atol=0)


@pytest.mark.parametrize("n_frames", [1, 7, 80])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda mel: mel, id="nothing"),
        pytest.param(lambda mel: mel * 20 / math.log(10), id="refused"),
        pytest.param(lambda mel: mel + 3.5, id="loud"),
        pytest.param(lambda mel: mel * 0.1, id="flat"),
        pytest.param(lambda mel: mel.where(torch.arange(80) != 77, math.nan), id="not finite"),
        pytest.param(lambda mel: mel[:, :0], id="empty"),
    ],
)
def test_a_mel_in_pieces_is_judged_as_a_whole(change: Callable[[Tensor], Tensor], n_frames: int) -> None:
    """Pieces of 7 frames of any mel would be too short to be called flat, a quiet piece of a loud one is not flat."""
    mel = change(speech_like()[0])

    def judged(check: Callable[[], None]) -> str:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                check()
            except AudioError as error:
                return str(error).split("not finite; ")[-1]
        return " ".join(str(warning.message) for warning in caught)

    pieces = [mel] if mel.shape[1] == 0 else mel.split(n_frames, dim=1)
    assert judged(lambda: check_mel_blocks(pieces, CONFIG)) == judged(lambda: check_mel(mel, CONFIG))
