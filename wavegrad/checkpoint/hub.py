"""From a name to a model directory: a path, a model that ships with the package, or one on the Hugging Face Hub."""

import importlib.resources
import re
from pathlib import Path

from wavegrad.checkpoint.model_dir import CARD, CONFIG, SCHEDULES, WEIGHTS
from wavegrad.errors import CheckpointError, unknown


def shipped_models() -> dict[str, Path]:
    """The models that ship with the package, by name: the directories in wavegrad/pretrained."""
    return {path.parent.name: path.parent for path in sorted(pretrained_root().glob(f"*/{CONFIG}"))}


def default_model() -> str:
    """Name of the shipped model that is used when none is named: the one in default.txt, or the only one.

    Raises:
        CheckpointError: none ships, or there are several and none is the default.
    """
    models = shipped_models()
    choice = pretrained_root() / "default.txt"
    names = [choice.read_text(encoding="utf-8").strip()] if choice.exists() else list(models)
    if len(names) != 1 or names[0] not in models:
        raise CheckpointError(
            f"no default model: the package ships {', '.join(models) or 'none'}; name a model or a model directory"
        )
    return names[0]


def resolve_model(name_or_dir: str | Path | None = None) -> Path:
    """Find the model directory that is meant.

    Args:
        name_or_dir: in this order: a model directory; the name of a shipped model; a Hugging Face Hub id "owner/name"
            or "owner/name@revision", which is downloaded once. None is the default model. A Path is always a directory.

    Raises:
        CheckpointError: it is none of them, or the download failed.
    """
    if name_or_dir is None:
        return shipped_models()[default_model()]
    path = Path(name_or_dir)
    if isinstance(name_or_dir, Path) or (path / CONFIG).exists():
        return path
    models = shipped_models()
    if name_or_dir in models:
        return models[name_or_dir]
    if path.exists():
        raise CheckpointError(f"{name_or_dir} is no model directory: it has no {CONFIG}")
    hub_id = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@(\S+))?", name_or_dir)
    if hub_id:
        return download(hub_id[1], hub_id[2])
    raise CheckpointError(f"{name_or_dir!r} is no directory; {unknown('model', name_or_dir, models)}")


def download(repo_id: str, revision: str | None = None) -> Path:
    """Download a model from the Hugging Face Hub, or find it in the cache of its client.

    Raises:
        CheckpointError: huggingface_hub is not installed, or it cannot get the model.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise CheckpointError(
            f"there is no directory {repo_id}; to get it from the Hugging Face Hub: pip install 'wavegrad-vocoder[hub]'"
        ) from error
    files = [CONFIG, WEIGHTS, f"{SCHEDULES}/*.json", CARD]
    try:
        return Path(snapshot_download(repo_id, revision=revision, allow_patterns=files))
    except Exception as error:  # the client's errors have no common base, and differ between its versions
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"there is no directory {repo_id}, and the Hugging Face Hub cannot give it: {reason}"
        ) from error


def pretrained_root() -> Path:
    """wavegrad/pretrained of the installed package."""
    return Path(str(importlib.resources.files("wavegrad"))) / "pretrained"
