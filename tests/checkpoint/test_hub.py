"""From a name to a model directory."""

import shutil
import sys
from pathlib import Path

import huggingface_hub
import pytest

from wavegrad.checkpoint import default_model, hub, resolve_model, shipped_models
from wavegrad.errors import CheckpointError


@pytest.fixture
def shipped(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that ships "alpha" and "beta", as seen from another working directory."""
    root = tmp_path / "pretrained"
    for name in ("alpha", "beta"):
        shutil.copytree(saved, root / name)
    (root / "notes").mkdir()  # no model
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr(hub, "pretrained_root", lambda: root)
    return root


def test_what_ships(shipped: Path) -> None:
    assert shipped_models() == {"alpha": shipped / "alpha", "beta": shipped / "beta"}


def test_the_default_is_written_down_or_the_only_one(shipped: Path) -> None:
    with pytest.raises(CheckpointError, match="no default model: the package ships alpha, beta; name a model"):
        resolve_model()
    (shipped / "default.txt").write_text("beta\n")
    assert default_model() == "beta"
    assert resolve_model() == shipped / "beta"
    shutil.rmtree(shipped / "beta")
    with pytest.raises(CheckpointError, match="no default model"):
        resolve_model()
    (shipped / "default.txt").unlink()
    assert resolve_model() == shipped / "alpha"
    shutil.rmtree(shipped)
    with pytest.raises(CheckpointError, match="ships none"):
        resolve_model()


def test_a_directory_comes_before_a_name(shipped: Path, saved: Path) -> None:
    assert resolve_model(str(saved)) == saved
    assert resolve_model("alpha") == shipped / "alpha"
    Path("alpha").mkdir()  # no model: it does not hide the name
    assert resolve_model("alpha") == shipped / "alpha"
    shutil.copytree(saved, "alpha", dirs_exist_ok=True)
    assert resolve_model("alpha") == Path("alpha")


def test_a_path_is_a_directory_always(shipped: Path) -> None:
    assert resolve_model(Path("alpha")) == Path("alpha")


def test_names_that_are_nothing(shipped: Path) -> None:
    with pytest.raises(CheckpointError, match="'alpa' is no directory; unknown model 'alpa': did you mean 'alpha'"):
        resolve_model("alpa")
    Path("runs/one").mkdir(parents=True)
    with pytest.raises(CheckpointError, match=r"runs/one is no model directory: it has no config\.json"):
        resolve_model("runs/one")
    with pytest.raises(CheckpointError, match="is no directory"):
        resolve_model("/absent/model/dir")


def test_hub_ids_are_downloaded(shipped: Path, saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def snapshot_download(repo_id: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo_id, revision))
        for file in ("config.json", "model.safetensors", "README.md"):
            assert file in allow_patterns
        return str(saved)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert resolve_model("someone/their-model.v2") == saved
    assert resolve_model("someone/model@v1.0") == saved
    assert asked == [("someone/their-model.v2", None), ("someone/model", "v1.0")]


def test_a_failed_download_says_why(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*_: object, **__: object) -> str:
        raise RuntimeError("404 Client Error.\n\nRepository Not Found")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(
        CheckpointError, match=r"no directory runs/best, .* Hub cannot give it: 404 Client Error\. Repository"
    ):
        resolve_model("runs/best")


def test_without_the_client_the_extra_is_named(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match=r"no directory runs/best; .* pip install 'wavegrad-vocoder\[hub\]'"):
        resolve_model("runs/best")
