"""A model directory: what goes in comes out; what does not belong is refused with the reason."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from wavegrad import atomic
from wavegrad.checkpoint import Model, load_config, load_model, model_dir, save_model
from wavegrad.errors import CheckpointError
from wavegrad.network import WaveGrad, network_preset


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def files(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_what_goes_in_comes_out(model: Model, saved: Path) -> None:
    loaded = load_model(saved)
    for name in ("mel_config", "prior", "default_schedule", "card", "griffin_lim"):
        assert getattr(loaded, name) == getattr(model, name)
    assert dict(loaded.schedules) == dict(model.schedules)
    assert loaded.network.config == model.network.config
    theirs = loaded.network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert theirs[name].dtype == torch.float32
        assert torch.equal(theirs[name], tensor), name


def test_half_rounds_each_weight_to_11_bits(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "half", half=True)
    save_model(model, tmp_path / "full")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    theirs = load_model(tmp_path / "half").network.state_dict()
    for name, tensor in model.network.state_dict().items():
        assert theirs[name].dtype == torch.float32
        torch.testing.assert_close(theirs[name], tensor, rtol=2**-11, atol=2**-25)  # below 2^-14 the spacing is fixed


def test_loading_and_saving_again_gives_the_same_files(saved: Path, tmp_path: Path) -> None:
    save_model(load_model(saved), tmp_path / "again")
    assert files(tmp_path / "again") == files(saved)
    assert set(files(saved)) == {
        "README.md",
        "config.json",
        "model.safetensors",
        "schedules/3.json",
        "schedules/fast.v2.json",
    }


def test_without_a_card_the_facts_are_written(model: Model, tmp_path: Path) -> None:
    save_model(replace(model, card=""), tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    n_parameters = sum(p.numel() for p in model.network.parameters())
    for fact in ("24000 Hz", "128 bands", f"{n_parameters:,} parameters", "spectral", "3 (3 steps)"):
        assert fact in card
    assert load_model(tmp_path / "m").card == card


def test_the_config_can_be_read_alone(model: Model, saved: Path) -> None:
    (saved / "model.safetensors").unlink()
    config = load_config(saved)
    assert config.mel == model.mel_config
    assert config.weights.n_parameters == sum(p.numel() for p in model.network.parameters())


def test_a_model_directory_is_replaced(model: Model, saved: Path) -> None:
    save_model(replace(model, schedules={"3": model.schedules["3"]}, card="new\n"), saved)
    assert load_model(saved).card == "new\n"
    assert not (saved / "schedules" / "fast.v2.json").exists()
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_an_empty_directory_is_filled(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path)
    assert load_model(tmp_path).card == model.card


@pytest.mark.parametrize("file", ["notes.txt", "README.md", "schedules/take.wav", ".git/config"])
def test_what_is_no_model_is_not_overwritten(model: Model, tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(CheckpointError, match="is no model directory: it holds"):
        save_model(model, tmp_path)
    assert files(tmp_path) == {file: b"mine"}


def test_a_model_with_other_files_is_not_overwritten(model: Model, saved: Path) -> None:
    (saved / "training.log").write_text("mine")
    with pytest.raises(CheckpointError, match=r"it holds training\.log"):
        save_model(model, saved)


def test_a_file_is_no_place_for_a_model(model: Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is a file"):
        save_model(model, tmp_path / "file")


@pytest.mark.parametrize("fails", ["save_weights", "plain_card"])
def test_a_save_that_fails_leaves_the_old_model(
    model: Model, saved: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")  # the system names no file when it refuses to write

    before = files(saved)
    monkeypatch.setattr(model_dir, fails, full_disk)
    with pytest.raises(CheckpointError, match="model cannot be written: no space left; what was there is there still"):
        save_model(replace(model, card=""), saved)
    assert files(saved.parent) == {f"model/{name}": data for name, data in before.items()}


def test_a_move_that_fails_puts_the_old_model_back(model: Model, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename = files(saved), Path.rename

    def second_move_fails(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(errno.EBUSY, "busy")
        return rename(self, target)

    monkeypatch.setattr(atomic, "_exchanged", lambda *_: False)  # as on a file system that cannot
    monkeypatch.setattr(Path, "rename", second_move_fails)
    with pytest.raises(CheckpointError, match="model cannot be written: busy"):
        save_model(replace(model, card="new\n"), saved)
    assert files(saved.parent) == {f"model/{name}": data for name, data in before.items()}


def test_weights_too_large_for_half_are_refused(model: Model, tmp_path: Path) -> None:
    network = WaveGrad(model.network.config)
    with torch.no_grad():
        assert network.mel_conv.bias is not None
        network.mel_conv.bias[3] = 1e5
    with pytest.raises(CheckpointError, match=r"cannot be saved as float16: mel_conv\.bias"):
        save_model(replace(model, network=network), tmp_path / "m", half=True)
    assert list(tmp_path.iterdir()) == []
    save_model(replace(model, network=network), tmp_path / "m")


def test_a_schedule_name_that_is_no_file_name_is_refused(model: Model, tmp_path: Path) -> None:
    for name in ("../up", "", "a/b", ".hidden"):
        with pytest.raises(CheckpointError, match="cannot be a file name"):
            save_model(replace(model, schedules={**model.schedules, name: model.schedules["3"]}), tmp_path / "m")


def replace_by_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def drop_a_tensor(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    del tensors["mel_conv.bias"]
    safetensors.torch.save_file(tensors, path)


def resize_a_tensor(path: Path) -> None:
    tensors = safetensors.torch.load_file(path)
    tensors["mel_conv.bias"] = torch.zeros(7)
    safetensors.torch.save_file(tensors, path)


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("no directory", lambda d: d.rename(d.with_name("elsewhere")), "there is no model directory"),
    ("no config", lambda d: (d / "config.json").unlink(), "is no model directory: it has no config.json"),
    ("config is a directory", lambda d: replace_by_directory(d / "config.json"), "cannot be read"),
    ("broken JSON", lambda d: truncate(d / "config.json"), "config.json is no valid JSON"),
    ("binary JSON", lambda d: (d / "config.json").write_bytes(b"\xff\xfe"), "config.json is no valid JSON"),
    ("a list", lambda d: (d / "config.json").write_text("[1]"), "it has no format_version"),
    ("foreign JSON", lambda d: (d / "config.json").write_text('{"resblock": "1"}'), "it has no format_version"),
    ("newer", lambda d: edit(d / "config.json", lambda c: c.update(format_version=2)), "format 2; .* up to 1: upgrade"),
    ("other kind", lambda d: edit(d / "config.json", lambda c: c.update(kind="gan")), "key kind: unknown value 'gan'"),
    ("unknown key", lambda d: edit(d / "config.json", lambda c: c["mel"].update(hop=1)), r"key mel\.hop: unknown key"),
    ("missing key", lambda d: edit(d / "config.json", lambda c: c.pop("network")), "key network: is missing"),
    (
        "nonsense",
        lambda d: edit(d / "config.json", lambda c: c["mel"].update(n_mels=0)),
        "config.json: key mel: .*n_mels",
    ),
    ("no weights", lambda d: (d / "model.safetensors").unlink(), "model.safetensors cannot be read: No such file"),
    ("truncated weights", lambda d: truncate(d / "model.safetensors"), "is truncated or no safetensors file"),
    ("foreign file", lambda d: (d / "model.safetensors").write_bytes(b"PK\3\4" * 99), "is truncated or no safetensors"),
    ("empty file", lambda d: (d / "model.safetensors").write_bytes(b""), "is truncated or no safetensors file"),
    (
        "foreign weights",
        lambda d: safetensors.torch.save_file({"conv_pre.weight": torch.zeros(3)}, d / "model.safetensors"),
        r"lacks .* and \d+ more and has conv_pre\.weight",
    ),
    ("a tensor less", lambda d: drop_a_tensor(d / "model.safetensors"), r"it lacks mel_conv\.bias$"),
    ("another shape", lambda d: resize_a_tensor(d / "model.safetensors"), r"mel_conv\.bias is \(7,\), not \(32,\)"),
    ("damaged weights", lambda d: flip_a_bit(d / "model.safetensors"), "is not the file that config.json describes"),
    (
        "no schedules",
        lambda d: (d / "schedules" / "3.json").unlink(),
        r"lacks the default schedule 3\.json; it has fast",
    ),
    ("broken schedule", lambda d: truncate_half(d / "schedules" / "3.json"), r"3\.json"),
]


def truncate_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(("break_it", "reason"), [fault[1:] for fault in FAULTS], ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_named(saved: Path, break_it: Callable[[Path], object], reason: str) -> None:
    break_it(saved)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_model(saved)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_finite_are_refused(model: Model, saved: Path) -> None:
    path = saved / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["mel_conv.bias"][0] = float("nan")
    safetensors.torch.save_file(tensors, path)
    with pytest.raises(CheckpointError) as caught:
        load_model(saved)
    sha = str(caught.value).split("sha256='")[1][:64]
    edit(saved / "config.json", lambda c: c["weights"].update(sha256=sha))
    with pytest.raises(CheckpointError, match=r"cannot be used: mel_conv\.bias has weights that are not finite"):
        load_model(saved)


def test_another_network_does_not_take_the_weights(saved: Path) -> None:
    other = network_preset("small", 128, hop_length=300)
    edit(saved / "config.json", lambda c: c["network"].update(mel_channels=other.mel_channels))
    with pytest.raises(CheckpointError, match=r"does not fit the network of config\.json"):
        load_model(saved)


def test_a_damaged_card_is_no_reason_not_to_load_a_model(model: Model, tmp_path: Path) -> None:
    """Regression: a UnicodeDecodeError."""
    save_model(model, tmp_path / "m")
    (tmp_path / "m" / "README.md").write_bytes(b"# caf\xe9\n")
    assert load_model(tmp_path / "m").card == "# caf\ufffd\n"
