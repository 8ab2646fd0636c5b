"""The paper's network (WaveGrad, fig. 2 and appendix A), the slow way, on a state dict with our names."""

from collections.abc import Sequence

from torch import Tensor

from tests.reference.layers import State, conv, encoding, leaky, repeat


def predict(
    state: State,
    y: Tensor,
    mel: Tensor,
    noise_level: Tensor,
    factors: Sequence[int],
    dilations: Sequence[Sequence[int]],
    blocks_per_level: int = 1,
) -> Tensor:
    """`batch time`, `batch n_mels frames`, ` batch` -> `batch time`."""
    x = conv(state, "waveform_conv", y[:, None])
    modulations = [_film(state, "films.0", x, noise_level)]
    for i, factor in enumerate(list(factors)[:0:-1]):
        for j in range(blocks_per_level):
            x = _dblock(state, f"dblocks.{i}.{j}", x, factor if j == 0 else 1)
        modulations.append(_film(state, f"films.{i + 1}", x, noise_level))
    x = conv(state, "mel_conv", mel)
    for i, factor in enumerate(factors):
        for j in range(blocks_per_level):
            x = _ublock(state, f"ublocks.{i}.{j}", x, *modulations[-1 - i], factor if j == 0 else 1, dilations[i])
    return conv(state, "output_conv", x)[:, 0]


def _dblock(state: State, name: str, x: Tensor, factor: int) -> Tensor:
    neighbours = x.reshape(*x.shape[:2], -1, factor)
    residual = conv(state, f"{name}.residual", neighbours.sum(3) / factor)
    x = conv(state, f"{name}.convs.0", leaky(x), stride=factor)
    for j in (1, 2):
        x = conv(state, f"{name}.convs.{j}", leaky(x), dilation=2**j)
    return x + residual


def _film(state: State, name: str, x: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift."""
    h = leaky(conv(state, f"{name}.input", x)) + encoding(noise_level, x.shape[1], 5000)
    out = conv(state, f"{name}.output", h)
    return out[:, : out.shape[1] // 2], out[:, out.shape[1] // 2 :]


def _ublock(
    state: State, name: str, x: Tensor, scale: Tensor, shift: Tensor, factor: int, dilations: Sequence[int]
) -> Tensor:
    residual = conv(state, f"{name}.residual", repeat(x, factor))
    x = conv(state, f"{name}.convs.0", repeat(leaky(x), factor), dilations[0])
    x = conv(state, f"{name}.convs.1", leaky(scale * x + shift), dilations[1]) + residual
    u = conv(state, f"{name}.convs.2", leaky(scale * x + shift), dilations[2])
    return x + conv(state, f"{name}.convs.3", leaky(scale * u + shift), dilations[3])
