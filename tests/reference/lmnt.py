"""The network of lmnt-com/wavegrad (src/wavegrad/model.py), rebuilt on a state dict with its names."""

from collections.abc import Sequence

from torch import Tensor

from tests.reference.layers import State, conv, encoding, leaky, repeat

FACTORS = (5, 5, 3, 2, 2)
DILATIONS = ((1, 2, 1, 2), (1, 2, 1, 2), (1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8))
PUBLISHED = {"mel": 768, "waveform": 32, "up": (512, 512, 256, 128, 128), "down": (128, 128, 256, 512)}
SMALL = {"mel": 20, "waveform": 6, "up": (18, 16, 14, 12, 10), "down": (8, 10, 12, 14)}


def shapes(mel: int, waveform: int, up: Sequence[int], down: Sequence[int], n_mels: int = 128) -> dict[str, list[int]]:
    """Layer -> outputs, inputs, kernel."""
    layers = {
        "first_conv": [mel, n_mels, 3],
        "downsample.0": [waveform, 1, 5],
        "last_conv": [1, up[-1], 3],
    }
    for i, (n_in, n_out) in enumerate(zip((waveform, *down), down, strict=False), start=1):
        layers[f"downsample.{i}.residual_dense"] = [n_out, n_in, 1]
        for j in range(3):
            layers[f"downsample.{i}.conv.{j}"] = [n_out, n_in if j == 0 else n_out, 3]
    for i, (n_in, n_out) in enumerate(zip((waveform, *down), reversed(up), strict=True)):
        layers[f"film.{i}.input_conv"] = [n_in, n_in, 3]
        layers[f"film.{i}.output_conv"] = [2 * n_out, n_in, 3]
    for i, (n_in, n_out) in enumerate(zip((mel, *up), up, strict=False)):
        layers[f"upsample.{i}.block1"] = [n_out, n_in, 1]
        layers[f"upsample.{i}.block2.0"] = [n_out, n_in, 3]
        for name in ("block2.1", "block3.0", "block3.1"):
            layers[f"upsample.{i}.{name}"] = [n_out, n_out, 3]
    return layers


def predict(state: State, audio: Tensor, spectrogram: Tensor, noise_level: Tensor) -> Tensor:
    """`batch time`, `batch n_mels frames`, ` batch` -> `batch time`."""
    x = conv(state, "downsample.0", audio[:, None])
    modulations = [_film(state, "film.0", x, noise_level)]
    for i, factor in enumerate(FACTORS[:0:-1], start=1):
        residual = conv(state, f"downsample.{i}.residual_dense", x)[:, :, ::factor]
        x = x[:, :, ::factor]
        for j in range(3):
            x = conv(state, f"downsample.{i}.conv.{j}", leaky(x), dilation=2**j)
        x = x + residual
        modulations.append(_film(state, f"film.{i}", x, noise_level))
    x = conv(state, "first_conv", spectrogram)
    for i, (factor, dilations) in enumerate(zip(FACTORS, DILATIONS, strict=True)):
        x = _ublock(state, f"upsample.{i}", x, *modulations[-1 - i], factor, dilations)
    return conv(state, "last_conv", x)[:, 0]


def _film(state: State, name: str, x: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and scale, in this order; the noise level is not multiplied by anything."""
    h = leaky(conv(state, f"{name}.input_conv", x)) + encoding(noise_level, x.shape[1], 1)
    out = conv(state, f"{name}.output_conv", h)
    half = out.shape[1] // 2
    return out[:, :half], out[:, half:]


def _ublock(
    state: State, name: str, x: Tensor, shift: Tensor, scale: Tensor, factor: int, dilations: Sequence[int]
) -> Tensor:
    main = conv(state, f"{name}.block2.0", repeat(leaky(x), factor), dilations[0])
    main = conv(state, f"{name}.block2.1", leaky(shift + scale * main), dilations[1])
    x = conv(state, f"{name}.block1", repeat(x, factor)) + main
    main = conv(state, f"{name}.block3.0", leaky(shift + scale * x), dilations[2])
    return x + conv(state, f"{name}.block3.1", leaky(shift + scale * main), dilations[3])
