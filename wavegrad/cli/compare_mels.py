"""`wavegrad compare-mels`: why two mels disagree."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wavegrad.cli.options import Model
from wavegrad.errors import ConfigError
from wavegrad.suffixes import MELS

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from wavegrad.audio.mel import MelConfig
    from wavegrad.audio.mel_compare import MelComparison

MOST_SHOWN = 3


@dataclass(frozen=True)
class _Input:
    """A mel, or audio with its rate."""

    tensor: "Float[Tensor, '...']"
    sample_rate: int | None

    def describe(self) -> str:
        if self.sample_rate is not None:
            return f"audio, {len(self.tensor) / self.sample_rate:.2f} s at {self.sample_rate} Hz"
        low, high = self.tensor.min().item(), self.tensor.max().item()
        return f"mel, {self.tensor.shape[0]} x {self.tensor.shape[1]}, values {low:.4g} to {high:.4g}"


def compare_mels(
    a: Annotated[Path, typer.Argument(help="A mel (.npy, .pt) or audio.")],
    b: Annotated[Path, typer.Argument(help="Another one of the same recording.")],
    model: Model = None,
    preset: Annotated[
        str | None, typer.Option(help="Convention for audio, instead of a model's; with a mel, all presets are tried.")
    ] = None,
) -> None:
    """Say why two mels of one recording disagree: bands, hop, logarithm, normalisation, floor and so on.

    Given a mel and its audio, say which mel preset it is of, or comes next to. Audio beside audio is compared by the
    mels that the model would see.
    """
    if preset is not None and model is not None:
        raise ConfigError("--preset and --model exclude each other: a model has its own front-end")
    first, second = _read(a), _read(b)
    typer.echo(f"A: {a}: {first.describe()}\nB: {b}: {second.describe()}")
    if first.sample_rate is None and second.sample_rate is None:
        from wavegrad.audio.mel_compare import compare_mels as compare

        _say(compare(first.tensor, second.tensor))
    elif first.sample_rate is not None and second.sample_rate is not None:
        _both_audio(first, second, _config(preset, model))
    else:
        audio, mel = (first, second) if first.sample_rate is not None else (second, first)
        _audio_and_mel(audio, mel, None if preset is None and model is None else _config(preset, model))


def _read(path: Path) -> _Input:
    from wavegrad.audio.io import read_audio
    from wavegrad.audio.mel_file import read_any_mel

    if path.suffix.lower() in MELS:
        return _Input(read_any_mel(path), None)
    waveform, rate = read_audio(path)
    return _Input(waveform, rate)


def _config(preset: str | None, model: str | None) -> "MelConfig":
    from wavegrad.audio import mel_preset
    from wavegrad.checkpoint import load_config, resolve_model

    return mel_preset(preset) if preset is not None else load_config(resolve_model(model)).mel


def _both_audio(first: _Input, second: _Input, config: "MelConfig") -> None:
    from wavegrad.audio.mel_compare import compare_mels as compare
    from wavegrad.audio.mel_fit import mel_at

    assert first.sample_rate is not None
    assert second.sample_rate is not None
    if first.sample_rate != second.sample_rate:
        typer.echo(f"- rate: {first.sample_rate} Hz in A, {second.sample_rate} Hz in B")
    _say(compare(mel_at(first.tensor, first.sample_rate, config), mel_at(second.tensor, second.sample_rate, config)))


def _audio_and_mel(audio: _Input, mel: _Input, wanted: "MelConfig | None") -> None:
    """The presets, best first, and what separates the mel from the best, or from the convention that is wanted."""
    from wavegrad.audio.mel_compare import compare_mels as compare
    from wavegrad.audio.mel_fit import SAME_DB, fit_presets, mel_at

    assert audio.sample_rate is not None
    fits = fit_presets(mel.tensor, audio.tensor, audio.sample_rate)
    best = fits[0]
    if best.difference_db is not None and best.difference_db < SAME_DB:
        typer.echo(f"preset: {best.name}, {best.difference_db:.3f} dB from it on average")
    else:
        typer.echo(f"preset: none; {best.name} comes next. From that (A) to the given mel (B):")
        _say(best.comparison)
        others = "; ".join(f"{fit.name}, {len(fit.comparison.findings)} differences" for fit in fits[1:MOST_SHOWN])
        typer.echo(f"then: {others}")
    if wanted is not None:
        typer.echo("From what the model or --preset reads (A) to the given mel (B):")
        _say(compare(mel_at(audio.tensor, audio.sample_rate, wanted), mel.tensor))


def _say(comparison: "MelComparison") -> None:
    for finding in comparison.findings:
        typer.echo(f"- {finding.text}")
    fit = f"B = {comparison.scale:.4g} A {comparison.offset:+.4g}"
    typer.echo(f"fit: {fit}; {comparison.residual:.1%} of the variation is left over")
