"""The terminal-SNR trap, as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wavegrad.diffusion import SCHEDULES, NoiseSchedule
from wavegrad.diffusion.schedule import FAR_FROM_NOISE
from wavegrad.errors import ConfigError


def draw_terminal_levels(path: str | Path, schedules: Sequence[NoiseSchedule] | None = None) -> None:
    """PNG of 900 pixels: for each schedule its noise levels, and how far the last one is from the noise that sampling
    starts from.

    Args:
        path: of the picture.
        schedules: from top to bottom; left out, those of the literature and an even log-SNR one of 6 steps.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("matplotlib is not installed; pip install 'wavegrad-vocoder[search]'") from error
    if schedules is None:
        schedules = sorted((*SCHEDULES.values(), NoiseSchedule.log_snr(6)), key=lambda one: -one.terminal_level)
    figure = Figure(figsize=(9, 1.3 + 0.36 * len(schedules)), layout="constrained")
    axes = figure.subplots()
    for row, schedule in enumerate(schedules):
        _row(axes, row, schedule)
    axes.axvline(FAR_FROM_NOISE, color="0.6", ls=":", lw=1)
    axes.text(FAR_FROM_NOISE, -0.75, " a warning from here on", color="0.4", fontsize="small", va="center")
    axes.set_yticks(range(len(schedules)), [schedule.name for schedule in schedules])
    axes.set(xlim=(-0.02, 1.02), ylim=(len(schedules) - 0.5, -1.1))
    axes.set_xlabel("noise level sqrt(alpha_bar): 0 is pure noise, where sampling starts; 1 is the signal")
    axes.set_title(
        "Bars: signal that the network is told of at the first step, and that is not there", fontsize="medium"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, format="png", dpi=100)


def _row(axes: Any, row: int, schedule: NoiseSchedule) -> None:
    """The levels, thinned out to 100, and a bar from the start to the last one."""
    terminal = schedule.terminal_level
    colour = "#c53030" if terminal > FAR_FROM_NOISE else "#2f855a"
    levels = schedule.noise_levels.tolist()[1:]
    axes.barh(row, terminal, height=0.5, color=colour, alpha=0.3)
    ticks = levels[:: -max(1, len(levels) // 100)]
    axes.plot(ticks, [row] * len(ticks), "|", color="k")
    axes.plot(terminal, row, "o", color=colour)
    axes.text(terminal + 0.012, row - 0.3, f"{terminal:.2f}", color=colour, fontsize="small", va="center")
