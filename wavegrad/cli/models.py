"""`wavegrad models`: what there is to choose from."""

import typer


def models() -> None:
    """List the shipped models, the mel presets, the network presets and the noise schedules."""
    from wavegrad.audio import MEL_PRESETS
    from wavegrad.checkpoint import default_model, load_model, shipped_models
    from wavegrad.diffusion import SCHEDULES
    from wavegrad.network import NETWORKS

    typer.echo("Models (--model):")
    for name, directory in shipped_models().items():
        m = load_model(directory)
        n_parameters = sum(p.numel() for p in m.network.parameters())
        mark = ", the default" if name == default_model() else ""
        typer.echo(
            f"  {name}: {m.mel_config.sample_rate} Hz, {m.mel_config.n_mels} bands, hop {m.mel_config.hop_length}, "
            f"{n_parameters / 1e6:.1f} M parameters{mark}"
        )
        typer.echo(f"    schedules: {', '.join(m.schedules)} (default {m.default_schedule})")
    typer.echo("Mel presets (recipes; --preset of `wavegrad mel`):")
    for name, preset in MEL_PRESETS.items():
        c = preset.config
        typer.echo(f"  {name}: {c.sample_rate} Hz, {c.n_mels} bands, hop {c.hop_length}; {preset.source}")
    typer.echo(f"Network presets (recipes): {', '.join(NETWORKS)}")
    typer.echo("Noise schedules of the literature (--schedule):")
    for name, schedule in SCHEDULES.items():
        typer.echo(f"  {name}: {schedule.n_steps} steps, ends at {schedule.terminal_level:.3f}; {schedule.provenance}")
