"""The other commands, help, and exit codes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import cast

import click
import pytest
import torch
import typer

from tests.cli.conftest import COMMAND, SPEECH
from tests.reference import lmnt
from tests.reference.layers import random_state
from wavegrad import __version__
from wavegrad.checkpoint import load_model
from wavegrad.cli.main import app


def commands(group: click.Group) -> Iterator[tuple[str, ...]]:
    """The words of every command below `group`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ((name, *words) for words in commands(command))
        else:
            yield (name,)


COMMANDS = sorted(commands(cast(click.Group, typer.main.get_command(app))))


def test_version(run):
    assert run("--version").out == f"wavegrad {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_has_a_help_text(run, command):
    result = run(*command, "--help")
    assert result.code == 0
    options = result.out.split("Options:")[1]
    for line in options.splitlines():
        if line.strip().startswith("-") and "--help" not in line:
            after = options.split(line)[1].splitlines()
            described = len(line.strip().split("  ")) > 1 or (len(after) > 1 and after[1].startswith("   "))
            assert described, f"{' '.join(command)} {line.split()[0]} says nothing"


def test_help_is_fast_and_does_not_import_torch():
    """All of it together in under two seconds of a fresh process: torch, which would take longer, is not imported."""
    code = "import sys, wavegrad.cli.main as m\n"
    code += f"for words in [[], {', '.join(str(list(words)) for words in COMMANDS)}]:\n"
    code += (
        " sys.argv = ['wavegrad', *words, '--help']\n try: m.main()\n except SystemExit as end: assert not end.code\n"
    )
    code += "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    began = time.process_time(), os.times().children_user
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "--seed" in result.stdout
    assert os.times().children_user - began[1] < 2


def test_an_error_of_ours_is_a_traceback_and_exit_code_1(model):
    code = "import sys, wavegrad.vocoder as v, wavegrad.cli.main as m\n"
    code += "v.Vocoder.find_schedule = None\n"
    code += f"sys.argv = ['wavegrad', 'vocode', {str(SPEECH)!r}, '-o', 'o', '--model', {model!r}]\n"
    result = subprocess.run([sys.executable, "-c", code + "m.main()"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_models_lists_what_ships(run):
    result = run("models")
    assert result.code == 0
    for name in ("small-24k", "the default", "hifigan-22k", "base, large, small, tiny", "public-6"):
        assert name in result.out


def test_training_from_the_command_line(run, tmp_path):
    small = (
        "--set",
        "data.crop_frames=4",
        "--set",
        "data.batch_size=1",
        "--set",
        "run.steps=2",
        "--set",
        "run.valid_synthesis=0",
    )
    command = ("train", "recipes/tiny.toml", "--data", SPEECH, "--run-dir", tmp_path / "run", *small)
    result = run(*command)
    assert result.code == 0, result.err
    assert "3 clips" in result.out
    assert f"--model {tmp_path / 'run' / 'best'}" in result.out
    assert "resuming at step 2 of 2" in run(*command).out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recipes/tiny.toml", "--data", "nowhere"), "nowhere is not a folder"),
        (("recipes/tiny.toml", "--data", "recipes"), "no audio file in recipes"),
        (("recipes/tny.toml", "--data", "samples"), "tny.toml"),
        (("recipes/tiny.toml", "--data", "samples", "--set", "data.batchsize=1"), "batch_size"),
        (("recipes/tiny.toml", "--data", "samples", "--set", "nonsense"), "nonsense"),
    ],
)
def test_mistakes_in_training_get_one_line_and_exit_code_2(run, tmp_path, arguments, message):
    result = run("train", *arguments, "--run-dir", tmp_path / "run")
    assert result.code == 2
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_an_imported_checkpoint_is_a_model(run, tmp_path):
    torch.save({"model": random_state(lmnt.shapes(**lmnt.SMALL), seed=1)}, tmp_path / "weights.pt")
    result = run("import-checkpoint", tmp_path / "weights.pt", "--from", "lmnt", "--out", tmp_path / "m")
    assert result.code == 0, result.err
    assert load_model(tmp_path / "m").network.config.level_scale == 1
    result = run("import-checkpoint", SPEECH / "kathleen.flac", "--from", "lmnt", "--out", tmp_path / "n")
    assert (result.code, "kathleen.flac" in result.err) == (2, True)


@pytest.mark.timeout(600)
def test_an_interrupted_vocode_leaves_nothing_half_written(model, tmp_path):
    """A real process, interrupted in the middle of a hundred thousand steps."""
    words = [
        "vocode",
        str(SPEECH / "ljspeech.flac"),
        "--out",
        str(tmp_path / "o"),
        "--model",
        model,
        "--steps",
        "100000",
    ]
    with subprocess.Popen([*COMMAND, *words], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while process.poll() is None and "ljspeech.flac:" not in process.stderr.read(20):
                pass
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not list((tmp_path / "o").rglob("*")) if (tmp_path / "o").exists() else True


def test_a_folder_becomes_training_data(run, tmp_path):
    out = tmp_path / "out"
    result = run("prepare", "folder", "--source", SPEECH, "--out", out, "--sample-rate", 16000, "--valid-share", 0.3)
    assert result.code == 0, result.err
    lines = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert len(lines) == 4
    for split in ("train", "valid", "test"):
        assert f"{split}: {sum(x['split'] == split for x in lines)} clips" in result.out
    for arguments, message in (
        (("folder",), "needs --source"),
        (("folder", "--source", "nowhere"), "nowhere is not a folder"),
        (("ljspeech", "--source", SPEECH), "no recording was found"),
        (("libritts", "--parts", "dev-clear"), "has no part 'dev-clear'"),
    ):
        result = run("prepare", *arguments, "--out", tmp_path / "other")
        assert (result.code, message in result.err) == (2, True), result.err
        assert len(result.err.strip().splitlines()) == 1


def test_the_next_command_names_no_folder_that_is_not_there(run, tmp_path):
    """Regression: of few clips none validates, and --valid OUT/valid was refused."""
    out = tmp_path / "out"
    prepare = ("prepare", "folder", "--source", SPEECH, "--out")
    assert f"next: wavegrad train RECIPE --data {out / 'train'} --run-dir RUN\n" in run(*prepare, out).out
    shards = run(*prepare, out, "--shards", 2).out
    assert f"--data {out / 'shards'} --valid DIR --run-dir RUN --set data.shards=true\n" in shards
    other, voice = tmp_path / "other", tmp_path / "voice"
    voice.mkdir()
    shutil.copy(SPEECH / "kathleen.flac", voice / "b.flac")  # a name that is dealt to the validation clips
    said = run("prepare", "folder", "--source", voice, "--out", other, "--valid-share", 0.4).out
    assert f"--data {other / 'train'} --valid {other / 'valid'} --run-dir RUN\n" in said
