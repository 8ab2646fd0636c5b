"""`wavegrad models`: what there is to choose from."""

import typer


def models() -> None:
    """List the shipped models, the mel presets, the network presets and the noise schedules."""
    from wavegrad.audio import MEL_PRESETS
    from wavegrad.checkpoint import default_model, load_config, shipped_models
    from wavegrad.diffusion import SCHEDULES
    from wavegrad.network import NETWORKS

    typer.echo("Models (--model):")
    for name, directory in shipped_models().items():
        config = load_config(directory)
        mark = ", the default" if name == default_model() else ""
        typer.echo(
            f"  {name}: {config.mel.sample_rate} Hz, {config.mel.n_mels} bands, hop {config.mel.hop_length}, "
            f"{config.weights.n_parameters / 1e6:.1f} M parameters{mark}"
        )
        names = sorted((path.stem for path in (directory / "schedules").glob("*.json")), key=lambda n: (len(n), n))
        typer.echo(
            f"    schedules: {', '.join(names)} (default {config.default_schedule}); Griffin-Lim: {config.griffin_lim}"
        )
    typer.echo("Mel presets (recipes; --preset of `wavegrad mel`):")
    for name, preset in MEL_PRESETS.items():
        c = preset.config
        typer.echo(f"  {name}: {c.sample_rate} Hz, {c.n_mels} bands, hop {c.hop_length}; {preset.source}")
    typer.echo(f"Network presets (recipes): {', '.join(NETWORKS)}")
    typer.echo("Noise schedules of the literature (--schedule):")
    for name, schedule in SCHEDULES.items():
        typer.echo(f"  {name}: {schedule.n_steps} steps, ends at {schedule.terminal_level:.3f}; {schedule.provenance}")
