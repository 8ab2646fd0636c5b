"""Small made corpora in the layouts of the real ones."""

import contextlib
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wavegrad.audio.io import read_audio
from wavegrad.cli.main import main
from wavegrad.corpora import CORPORA, PrepareConfig, prepare
from wavegrad.corpora.known import parts_of
from wavegrad.corpora.prepare import split_of
from wavegrad.errors import AudioError, ConfigError, CorpusError

TONE = 440.0


def record(path: Path, rate: int, seconds: float = 0.5, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.3 * np.sin(2 * np.pi * TONE * np.arange(int(rate * seconds)) / rate)
    soundfile.write(path, np.stack([tone] * channels, 1), rate)


def ljspeech(root: Path) -> None:
    for i in range(3):
        record(root / "LJSpeech-1.1" / "wavs" / f"LJ001-000{i}.wav", 22050)


def libritts(root: Path) -> None:
    for part in ("train-clean-100", "dev-clean", "test-clean"):
        record(root / part / "LibriTTS" / part / "84" / "121" / f"84_121_{part}_000.wav", 24000)


def vctk(root: Path) -> None:
    for microphone in (1, 2):
        record(root / "v" / "wav48_silence_trimmed" / "p225" / f"p225_001_mic{microphone}.flac", 48000)


def hifitts(root: Path) -> None:
    for split in ("train", "dev", "test"):
        audio = Path("audio") / "92_clean" / "book" / f"one_{split}.flac"
        record(root / "hi_fi_tts_v0" / audio, 44100)
        line = json.dumps({"audio_filepath": audio.as_posix(), "duration": 0.5, "text": "one"})
        (root / "hi_fi_tts_v0" / f"92_manifest_clean_{split}.json").write_text(line + "\n")


def folder(root: Path) -> None:
    record(root / "anna" / "a.wav", 16000, channels=2)
    record(root / "b.mp3", 44100)


LAYOUTS = {"ljspeech": ljspeech, "libritts": libritts, "vctk": vctk, "hifitts": hifitts, "folder": folder}
EXPECTED = {
    "ljspeech": [("ljspeech", "LJ001-0000"), ("ljspeech", "LJ001-0001"), ("ljspeech", "LJ001-0002")],
    "libritts": [("84", f"84_121_{part}_000") for part in ("dev-clean", "test-clean", "train-clean-100")],
    "vctk": [("p225", "p225_001")],
    "hifitts": [("92", f"92_one_{split}") for split in ("dev", "test", "train")],
    "folder": [("anna", "anna_a"), ("all", "b")],
}


def quiet(line: str) -> None:
    """Nobody listens."""


def test_every_corpus_has_a_made_layout():
    assert LAYOUTS.keys() == EXPECTED.keys() == CORPORA.keys()


@pytest.mark.parametrize("name", LAYOUTS)
def test_recordings_are_found_resampled_and_listed(name, tmp_path):
    LAYOUTS[name](tmp_path / "in")
    found = list(CORPORA[name].find(tmp_path / "in"))
    assert [(r.speaker, r.name) for r in found] == EXPECTED[name]
    made = prepare(found, tmp_path / "out", PrepareConfig(24000), quiet)
    lines = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    assert [(x["speaker"], Path(x["path"]).stem) for x in lines] == EXPECTED[name]
    for recording, line, item in zip(found, lines, made, strict=True):
        waveform, rate = read_audio(tmp_path / "out" / line["path"])
        assert rate == 24000
        assert len(waveform) == pytest.approx(12000, abs=60 if recording.path.suffix == ".mp3" else 1)
        spectrum = np.abs(np.fft.rfft(waveform.numpy() * np.hanning(len(waveform)), 24000))
        assert spectrum.argmax() == TONE
        assert item.split == line["split"] == (recording.split or split_of(recording.name, 0.01))


def test_published_splits_are_kept(tmp_path):
    for name in ("libritts", "hifitts"):
        LAYOUTS[name](tmp_path / name)
        splits = [r.split for r in CORPORA[name].find(tmp_path / name)]
        assert splits == ["valid", "test", "train"]


def test_the_hash_gives_each_split_its_share_and_does_not_move_clips():
    """4,000 names at 10 %: the counts lie within 5 standard deviations (false alarm 1e-6; the names are fixed)."""
    names = [f"clip{i}" for i in range(4000)]
    splits = [split_of(n, 0.1) for n in names]
    for split in ("valid", "test"):
        assert abs(splits.count(split) - 400) < 5 * (4000 * 0.1 * 0.9) ** 0.5
    assert all(a == b for a, b in zip(splits, [split_of(n, 0.05) for n in names], strict=True) if b == "valid")


def test_several_processes_write_what_one_does_and_a_second_call_changes_nothing(tmp_path):
    ljspeech(tmp_path / "in")
    found = list(CORPORA["ljspeech"].find(tmp_path / "in"))
    one = prepare(found, tmp_path / "one", PrepareConfig(16000), quiet)
    two = prepare(found, tmp_path / "two", PrepareConfig(16000), quiet, workers=2)
    assert one == two
    contents = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()}
    assert contents == {
        p.relative_to(tmp_path / "two"): p.read_bytes() for p in (tmp_path / "two").rglob("*") if p.is_file()
    }
    first = tmp_path / "one" / one[0].path
    before = first.stat().st_mtime_ns
    assert prepare(found, tmp_path / "one", PrepareConfig(16000), quiet) == one
    assert first.stat().st_mtime_ns == before


def test_what_cannot_be_used_is_named_and_left_out(tmp_path):
    folder(tmp_path / "in")
    record(tmp_path / "in" / "short.wav", 24000, seconds=0.1)
    (tmp_path / "in" / "broken.flac").write_bytes(b"fLaC, or not")
    whole = tmp_path / "in" / "cut.wav"
    record(whole, 24000)
    whole.write_bytes(whole.read_bytes()[:-8000])
    said: list[str] = []
    made = prepare(CORPORA["folder"].find(tmp_path / "in"), tmp_path / "out", PrepareConfig(), said.append)
    assert len(made) == 2
    assert sorted(line.split(":")[0] for line in said) == ["left out broken", "left out cut", "left out short"]


def test_a_library_that_warns_leaves_nothing_out(tmp_path, monkeypatch):
    """That something is deprecated ended the call."""
    folder(tmp_path / "in")

    def read(path, sample_rate):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return read_audio(path, sample_rate)

    monkeypatch.setattr(sys.modules["wavegrad.corpora.prepare"], "read_audio", read)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = prepare(CORPORA["folder"].find(tmp_path / "in"), tmp_path / "out", PrepareConfig(), pytest.fail)
    assert len(made) == 2


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(CorpusError, match="no recording was found"):
        prepare([], tmp_path, PrepareConfig(), quiet)
    with pytest.raises(CorpusError, match="has no part 'train-clean-99'; it has dev-clean"):
        parts_of(CORPORA["libritts"], ("train-clean-99",))
    with pytest.raises(ConfigError, match=r"valid_share 0\.9"):
        PrepareConfig(valid_share=0.9)
    record(tmp_path / "in" / "a.wav", 24000)
    record(tmp_path / "in" / "a.flac", 24000)
    with pytest.raises(CorpusError, match=r"a\.flac and .*a\.wav have the same name"):
        prepare(CORPORA["folder"].find(tmp_path / "in"), tmp_path / "out", PrepareConfig(), quiet)


def test_other_choices_in_the_same_folder_are_refused(tmp_path):
    """Clips were kept at their old rate, and a larger share left the clips that validate among those that train."""
    ljspeech(tmp_path / "in")
    found, out = list(CORPORA["ljspeech"].find(tmp_path / "in")), tmp_path / "out"
    prepare(found, out, PrepareConfig(16000), quiet)
    with pytest.raises(
        CorpusError, match=r"other choices: sample_rate 24000 \(was 16000\), valid_share 0.2 \(was 0.01\)"
    ):
        prepare(found, out, PrepareConfig(24000, 0.2), quiet)
    assert {read_audio(path)[1] for path in out.rglob("*.flac")} == {16000}


def test_what_is_left_of_lost_recordings_is_named(tmp_path):
    folder(tmp_path / "in")
    found, out = list(CORPORA["folder"].find(tmp_path / "in")), tmp_path / "out"
    first = prepare(found, out, PrepareConfig(), quiet)
    said: list[str] = []
    assert prepare(found[1:], out, PrepareConfig(), said.append) == first[1:]
    assert said == [f"of no recording of this corpus, but a training would read them: {first[0].path}, in {out}"]


@pytest.mark.parametrize("change", ["newer", "longer", "damaged", "none"])
def test_a_clip_of_a_recording_that_changed_is_made_again(tmp_path, change):
    """It was kept, with the new recording's length in the manifest. A changed one may be old: copies keep its time."""
    record(tmp_path / "in" / "a.wav", 24000)
    found, out = list(CORPORA["folder"].find(tmp_path / "in")), tmp_path / "out"
    (first,) = prepare(found, out, PrepareConfig(), quiet)
    (clip,) = out.rglob("*.flac")
    os.utime(clip, (2e9, 2e9))
    time = 3e9 if change == "newer" else 1e9
    if change == "damaged":
        clip.write_bytes(b"fLaC")
    elif change != "none":
        soundfile.write(found[0].path, np.full(12000 + 12000 * (change == "longer"), 0.25), 24000)
    os.utime(found[0].path, (time, time))
    (second,) = prepare(found, out, PrepareConfig(), quiet)
    made, _ = read_audio(clip)
    assert len(made) == round(second.seconds * 24000)
    assert bool((made - 0.25).abs().max() < 1e-3) == (change in ("newer", "longer"))
    assert (clip.stat().st_mtime == 2e9) == (change == "none")
    assert (second == first) == (change != "longer")


def test_its_own_output_is_no_recording(tmp_path):
    """A second call with OUT inside the corpus used to find twice as many recordings."""
    folder(tmp_path)
    first, second = (
        prepare(CORPORA["folder"].find(tmp_path), tmp_path / "out", PrepareConfig(), quiet) for _ in range(2)
    )
    assert first == second


def test_a_folder_that_cannot_be_written_is_no_recording_left_out(tmp_path):
    """A full disk used to be the fault of every recording that came after."""
    folder(tmp_path / "in")
    found = list(CORPORA["folder"].find(tmp_path / "in"))
    (tmp_path / "file").touch()
    with pytest.raises(CorpusError, match=r"file: cannot be written: .*; choose another --out"):
        prepare(found, tmp_path / "file", PrepareConfig(), quiet)
    target = tmp_path / "out" / split_of("b", 0.01) / "all"
    target.mkdir(parents=True)
    (target / f".b.flac.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(AudioError, match=r"b\.flac: cannot be written: No space left on device"):
        prepare(found, tmp_path / "out", PrepareConfig(), quiet)


def test_the_command_says_how_to_train_on_it(tmp_path, monkeypatch, capsys):
    """With the names of folders quoted for the shell; without one of validation clips, where none validates."""
    folder(tmp_path / "in")
    out = tmp_path / "my speech"
    monkeypatch.setattr(sys, "argv", ["wavegrad", "prepare", "folder", "--source", f"{tmp_path}/in", "--out", str(out)])
    with contextlib.suppress(SystemExit):
        main()
    said = capsys.readouterr().out.splitlines()
    assert said[-4:] == [
        *("train: 2 clips, 0.0 min", "valid: 0 clips, 0.0 min", "test: 0 clips, 0.0 min"),
        f"next: wavegrad train RECIPE --data '{out}/train' --run-dir RUN",
    ]
