"""`wavegrad vocode` and `wavegrad mel` on real files."""

import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from tests.cli.conftest import SPEECH
from wavegrad.diffusion import NoiseSchedule
from wavegrad.inference.quantized import has_int8
from wavegrad.vocoder import Vocoder


@pytest.fixture
def short(tmp_path):
    """A third of a second of speech."""
    samples, rate = soundfile.read(SPEECH / "kathleen.flac", dtype="float32")
    path = tmp_path / "short.wav"
    soundfile.write(path, samples[24000:32001], rate)
    return path


def test_audio_becomes_audio_of_the_same_length(run, model, short, tmp_path):
    result = run("vocode", short, "--out", tmp_path / "new" / "out.wav", "--model", model)
    assert result.code == 0, result.err
    assert soundfile.info(tmp_path / "new" / "out.wav").frames == 8001
    assert re.fullmatch(r"1 file, 0\.33 s of audio, real-time factor \d+\.\d{3}", result.out.splitlines()[-1])


def test_the_seed_decides_and_nothing_else_does(run, model, short, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("vocode", short, "--out", tmp_path / f"{name}.wav", "--model", model, "--seed", seed)
    a, b, c = ((tmp_path / f"{name}.wav").read_bytes() for name in "abc")
    assert a == b != c


def test_mels_of_both_kinds_become_audio(run, model, short, tmp_path):
    assert run("mel", short, "--out", tmp_path / "m.npy", "--model", model).code == 0
    mel = np.load(tmp_path / "m.npy")
    assert (mel.shape, mel.dtype) == ((128, 26), np.float32)
    torch.save(torch.from_numpy(mel)[None], tmp_path / "m2.pt")
    result = run("vocode", tmp_path / "m.npy", tmp_path / "m2.pt", "--out", tmp_path / "o", "--model", model)
    assert result.code == 0, result.err
    one, two = (soundfile.read(tmp_path / "o" / name)[0] for name in ("m.wav", "m2.wav"))
    assert len(one) == 26 * 300
    assert np.array_equal(one, two)


def test_a_folder_keeps_its_tree_and_what_is_done_is_skipped(run, model, short, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(short, tmp_path / "in" / "a.wav")
    shutil.copy(short, tmp_path / "in" / "deep" / "b.wav")
    (tmp_path / "in" / "notes.txt").write_text("not audio")
    command = ("vocode", tmp_path / "in", "--out", tmp_path / "out", "--model", model, "--format", "flac")
    assert run(*command).out.splitlines()[-1].startswith("2 files, 0.67 s")
    made = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert made == ["a.flac", "deep/b.flac"]
    (tmp_path / "out" / "a.flac").write_bytes(b"mine")
    result = run(*command)
    assert result.code == 0
    assert "2 of 2 done before, skipped" in result.out
    assert (tmp_path / "out" / "a.flac").read_bytes() == b"mine"
    assert run(*command, "--overwrite").code == 0
    assert soundfile.info(tmp_path / "out" / "a.flac").frames == 8001


def test_globs_and_other_rates_and_channels(run, model, short, tmp_path):
    samples, _ = soundfile.read(short)
    soundfile.write(tmp_path / "stereo.ogg", np.stack([samples, samples], 1), 16000)
    result = run("vocode", f"{tmp_path}/*.ogg", "--out", tmp_path / "o", "--model", model)
    assert result.code == 0, result.err
    assert soundfile.info(tmp_path / "o" / "stereo.wav").samplerate == 24000


def test_one_bad_file_does_not_stop_the_others(run, model, short, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a_broken.wav").write_bytes(b"RIFF, or not")
    np.save(folder / "b_turned.npy", np.zeros((26, 128), np.float32))
    np.save(folder / "c_nan.npy", np.full((128, 5), np.nan, np.float32))
    np.save(folder / "d_objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (folder / "e_cut.pt").write_bytes(b"")
    shutil.copy(short, folder / "z_good.wav")
    result = run("vocode", folder, "--out", tmp_path / "out", "--model", model)
    assert result.code == 2
    said = result.out + result.err
    for name in ("a_broken.wav", "b_turned.npy", "c_nan.npy", "d_objects.npy", "e_cut.pt"):
        assert name in said
    assert "transpose it" in said
    assert "Traceback" not in said
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["z_good.wav"]
    assert "1 file, 0.33 s" in result.out


def test_schedules_by_number_name_and_file(run, model, short, tmp_path):
    NoiseSchedule.log_snr(1).save(tmp_path / "mine.json")
    for i, options in enumerate((("--steps", 3), ("--schedule", "2"), ("--schedule", tmp_path / "mine.json"))):
        result = run("vocode", short, "--out", tmp_path / f"{i}.wav", "--model", model, *options)
        assert result.code == 0, result.err
    contents = {(tmp_path / f"{i}.wav").read_bytes() for i in range(3)}
    assert len(contents) == 3


def test_samplers_by_name_and_option(run, model, short, tmp_path):
    """Options that mean the same make the same audio; others do not."""
    options = (
        ("--variance", "beta"),
        ("--sampler", "ancestral:variance=beta"),
        ("--eta", 0.5),
        ("--sampler", "ddim:eta=0.5"),
    )
    for i, chosen in enumerate(options):
        out = tmp_path / f"{i}.wav"
        assert run("vocode", short, "--out", out, "--model", model, "--steps", 3, *chosen).code == 0
    a, b, c, d = ((tmp_path / f"{i}.wav").read_bytes() for i in range(4))
    assert a == b != c == d


def test_griffin_lim_is_the_models_unless_it_is_asked_for(run, model, short, tmp_path):
    other = replace(Vocoder.from_pretrained(model), griffin_lim=3)
    other.save_pretrained(tmp_path / "other")
    for name, options in {
        "plain": ("--model", model),
        "asked": ("--model", model, "--griffin-lim", 3),
        "models": ("--model", tmp_path / "other"),
        "none": ("--model", tmp_path / "other", "--griffin-lim", 0),
    }.items():
        assert run("vocode", short, "--out", tmp_path / f"{name}.wav", *options).code == 0
    plain, asked, models, none = (
        (tmp_path / f"{name}.wav").read_bytes() for name in ("plain", "asked", "models", "none")
    )
    assert plain == none != asked == models


def test_int8_where_the_processor_has_it(run, model, short, tmp_path, monkeypatch):
    """Whole files in integers, streams in floats."""
    quick = ("--steps", 2, "--griffin-lim", 0)
    if has_int8():
        for name, options in (("coded", ("--dtype", "int8")), ("exact", ())):
            result = run("vocode", short, "--out", tmp_path / f"{name}.wav", *quick, *options)
            assert result.code == 0, result.err
        coded, exact = (soundfile.read(tmp_path / f"{name}.wav")[0] for name in ("coded", "exact"))
        assert 0 < np.abs(coded - exact).max() < 0.5 * np.abs(exact).max()
        monkeypatch.setattr("wavegrad.cli.long_files.LONG_S", 0.1)
        result = run("vocode", short, "--out", tmp_path / "long.wav", *quick, "--dtype", "int8")
        assert result.code == 0, result.err
        assert np.abs(soundfile.read(tmp_path / "long.wav")[0] - exact).max() < 2 / 32768
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    result = run("vocode", short, "--out", tmp_path / "no.wav", "--model", model, "--dtype", "int8")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "needs a processor with VNNI or AMX" in result.err


@pytest.mark.parametrize(("units", "same_as"), [(True, "bfloat16"), (False, "float32")])
def test_dtype_auto_is_what_the_processor_has_units_for(run, short, tmp_path, monkeypatch, units, same_as):
    """Left out, it is float32 on all."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx512_bf16": units})
    options = {"auto": ("--dtype", "auto"), "bfloat16": ("--dtype", "bfloat16"), "float32": ()}
    for name, dtype in options.items():
        out = tmp_path / f"{name}.wav"
        result = run("vocode", short, "--out", out, "--steps", 1, "--griffin-lim", 0, "--device", "cpu", *dtype)
        assert result.code == 0, result.err
    auto, half, full = ((tmp_path / f"{name}.wav").read_bytes() for name in options)
    assert auto == {"bfloat16": half, "float32": full}[same_as]
    assert half != full


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", 3, "--schedule", "2"), "exclude each other"),
        (("--schedule", "public-7"), "public-6"),
        (("--schedule", "missing.json"), "missing.json"),
        (("--out", "x.flac", "--subtype", "FLOAT"), "FLAC has no float samples"),
        (("--out", "x.mp3"), ".mp3"),
        (("--model", "smal-24k"), "smal-24k"),
        (("--device", "cuda"), "no GPU"),
        (("--steps", 0), "greater than or equal to 1"),
        (
            ("--dtype", "float8"),
            "unknown precision 'float8': did you mean 'float32'? allowed: auto, float32, bfloat16, float16, int8",
        ),
        (("--sampler", "dimm"), "did you mean 'ddim'"),
        (("--sampler", "ddim:eta=2"), "must lie between 0 and 1"),
        (("--sampler", "heun", "--variance", "beta"), "give one"),
        (("--sampler", "heun", "--eta", 1), "--eta is for ddim alone"),
        (("--variance", "learned", "--eta", 1), "--eta is for ddim alone"),
        (("--lookahead-frames", 4, "--batch", 2), "--lookahead-frames streams file by file"),
        (("--lookahead-frames", 4, "--sampler", "heun"), "--lookahead-frames streams file by file"),
        (("--lookahead-frames", -1), "greater than or equal to 0"),
    ],
)
def test_mistakes_get_one_line_and_exit_code_2(run, model, short, tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    result = run("vocode", short, "--out", tmp_path / "o", "--model", model, *options)
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert not (tmp_path / "o").exists()


def test_clashes_are_refused_before_work_starts(run, model, short, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        shutil.copy(short, tmp_path / name / "same.wav")
    paths = (tmp_path / "a" / "same.wav", tmp_path / "b" / "same.wav")
    result = run("vocode", *paths, "--out", tmp_path / "o", "--model", model)
    assert result.code == 2
    assert "would both become" in result.err
    result = run("vocode", paths[0], "--out", paths[0].parent, "--model", model, "--overwrite")
    assert result.code == 2
    assert "would overwrite an input" in result.err
    result = run("vocode", tmp_path / "nothing.wav", "--out", tmp_path / "o", "--model", model)
    assert (result.code, "no such file" in result.err) == (2, True)
    assert not (tmp_path / "o").exists()


def test_mels_of_a_preset(run, short, tmp_path):
    assert run("mel", short, "--out", tmp_path / "m.npy", "--preset", "hifigan-22k").code == 0
    assert np.load(tmp_path / "m.npy").shape[0] == 80
    result = run("mel", short, "--out", tmp_path / "n.npy", "--preset", "hifigan")
    assert (result.code, "hifigan-22k" in result.err) == (2, True)


def test_files_together_sound_as_they_do_alone(run, model, tmp_path):
    """Groups of similar length, with a file that cannot be read, a mel that is none, and one that is doubtful."""
    folder = tmp_path / "in"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name, n_samples in (("a", 2950), ("b", 700), ("c", 3100), ("d", 650), ("e", 1500)):
        soundfile.write(folder / f"{name}.wav", 0.1 * generator.standard_normal(n_samples), 24000)
    (folder / "broken.wav").write_bytes(b"no audio")
    np.save(folder / "flat.npy", np.full((128, 21), -6.0, np.float32))
    np.save(folder / "nan.npy", np.full((128, 20), np.nan, np.float32))
    soundfile.write(folder / "f.wav", 0.1 * generator.standard_normal(7000), 24000)
    alone = run("vocode", folder, "-o", tmp_path / "1", "--model", model, "--subtype", "FLOAT", "--seed", 3)
    together = run(
        *("vocode", folder, "-o", tmp_path / "3", "--model", model, "--subtype", "FLOAT", "--seed", 3, "--batch", 3)
    )
    assert alone.code == together.code == 2
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "3").iterdir())
    assert names == ["a.wav", "b.wav", "c.wav", "d.wav", "e.wav", "f.wav", "flat.wav"]
    for name in names:
        one, other = (soundfile.read(tmp_path / folder / name)[0] for folder in ("1", "3"))
        assert one.shape == other.shape
        assert np.linalg.norm(one - other) < 1e-5 * np.linalg.norm(one)
    for result in (alone, together):
        lines = [line.split(": ")[0] for line in result.err.splitlines() if line.startswith(str(folder))]
        assert lines == [str(folder / name) for name in ("broken.wav", "flat.npy", "nan.npy")]


def test_a_sampler_of_whole_files_takes_them_one_by_one(run, model, tmp_path):
    options = ("--variance", "analytic", "--batch", 2, "--model", model)
    result = run("vocode", SPEECH, "-o", tmp_path / "o", *options)
    assert result.code == 2
    assert "looks at whole files; leave --batch out" in result.err
