"""What a mel stands for, as ONNX nodes."""

from wavegrad.audio.mel import MelConfig
from wavegrad.export.graph import Graph


def mel_bands(g: Graph, mel: str, config: MelConfig) -> str:
    """`wavegrad.audio.mel.band_values`, of any shape."""
    normalised = g.op("Div", g.op("Sub", mel, g.constant(config.offset)), g.constant(config.scale))
    level = g.op("Add", normalised, g.constant(config.reference_level))
    return g.op("Exp", g.op("Div", level, g.constant(config.units_per_neper)))
