"""Which files a command reads and writes, and what stands in the way."""

import pytest

from wavegrad.cli.files import find, plan
from wavegrad.errors import ConfigError
from wavegrad.suffixes import AUDIO, MELS


@pytest.fixture
def tree(tmp_path):
    """in/a.wav, in/deep/b.wav and an empty folder."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").touch()
    (tmp_path / "in" / "deep" / "b.wav").touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_outputs_inside_the_input_folder_are_no_inputs_the_next_time(tree):
    """The second call was refused: the outputs of the first, taken for inputs, would have been overwritten."""
    out = tree / "in" / "out"
    first = plan([str(tree / "in")], out, AUDIO, ".wav")
    for job in first:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        job.target.touch()
    assert plan([str(tree / "in")], out, AUDIO, ".wav") == first
    assert len(first) == 2


@pytest.mark.parametrize("nothing", ["empty", "in/*.flac"])
def test_one_input_without_files_is_refused_although_another_has_some(tree, nothing):
    """It was passed over without a word."""
    with pytest.raises(ConfigError, match=f"no input found in .*{nothing.split('/')[-1].replace('*', '.')}"):
        find([str(tree / "in"), str(tree / nothing)], AUDIO)


def test_a_file_in_the_way_of_a_folder_is_found_before_work_starts(tree):
    """Synthesis ran, and then ended in a FileExistsError."""
    for out in (tree / "in" / "a.wav" / "o", tree / "in" / "a.wav"):
        with pytest.raises(ConfigError, match=r"a\.wav is a file, not a folder"):
            plan([str(tree / "in" / "deep")], out, AUDIO, ".wav")
    (tree / "o" / "b.npy").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"b\.npy is a folder"):
        plan([str(tree / "in" / "deep")], tree / "o", AUDIO, ".npy")
    assert len(plan([str(tree / "in")], tree / "new" / "o", AUDIO + MELS, ".flac")) == 2
