"""The network of ivanvovk/WaveGrad (model/nn.py and what it imports), rebuilt on a state dict with its names."""

from collections.abc import Sequence

from torch import Tensor

from tests.reference.layers import State, conv, encoding, leaky, linear

FACTORS = (5, 5, 3, 2, 2)
DILATIONS = ((1, 2, 1, 2), (1, 2, 1, 2), (1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4, 8))
BUFFERS = ("betas", "alphas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod")
"""Some of the tensors that a checkpoint holds beside the weights."""


def shapes(mel: int, waveform: int, up: Sequence[int], down: Sequence[int], n_mels: int = 80) -> dict[str, list[int]]:
    """Layer -> outputs, inputs, kernel."""
    layers = {
        "ublock_preconv": [mel, n_mels, 3],
        "dblock_preconv": [waveform, 1, 5],
        "ublock_postconv": [1, up[-1], 3],
    }
    for i, (n_in, n_out) in enumerate(zip((waveform, *down), down, strict=False)):
        layers[f"dblocks.{i}.residual_branch.0"] = [n_out, n_in, 1]
        for j in range(3):
            layers[f"dblocks.{i}.main_branch.{j + 1}.convolution"] = [n_out, n_in if j == 0 else n_out, 3]
    for i, (n_in, n_out) in enumerate(zip((waveform, *down), reversed(up), strict=True)):
        layers[f"films.{i}.signal_conv.0"] = [n_in, n_in, 3]
        layers[f"films.{i}.scale_conv"] = [n_out, n_in, 3]
        layers[f"films.{i}.shift_conv"] = [n_out, n_in, 3]
    for i, (n_in, n_out) in enumerate(zip((mel, *up), up, strict=False)):
        layers[f"ublocks.{i}.first_block_residual_branch.0"] = [n_out, n_in, 1]
        layers[f"ublocks.{i}.first_block_main_branch.upsampling.2"] = [n_out, n_in, 3]
        layers[f"ublocks.{i}.first_block_main_branch.modulation.convolution"] = [n_out, n_out, 3]
        for j in range(2):
            layers[f"ublocks.{i}.second_block_main_branch.modulation_{j}.convolution"] = [n_out, n_out, 3]
    return {f"nn.{name}.conv1d": shape for name, shape in layers.items()}


def predict(
    state: State,
    mels: Tensor,
    yn: Tensor,
    noise_level: Tensor,
    factors: Sequence[int] = FACTORS,
    dilations: Sequence[Sequence[int]] = DILATIONS,
    down_dilations: Sequence[int] = (1, 2, 4),
) -> Tensor:
    """`batch n_mels frames`, `batch time`, ` batch` -> `batch time`."""
    net = {name.removeprefix("nn.").replace(".conv1d", ""): tensor for name, tensor in state.items()}
    x = conv(net, "dblock_preconv", yn[:, None])
    modulations = [_film(net, "films.0", x, noise_level)]
    for i, factor in enumerate(list(factors)[:0:-1]):
        n_out = x.shape[2] // factor
        residual = linear(conv(net, f"dblocks.{i}.residual_branch.0", x), n_out)
        x = linear(x, n_out)
        for j, dilation in enumerate(down_dilations, start=1):
            x = conv(net, f"dblocks.{i}.main_branch.{j}.convolution", leaky(x), dilation)
        x = x + residual
        modulations.append(_film(net, f"films.{i + 1}", x, noise_level))
    x = conv(net, "ublock_preconv", mels)
    for i, factor in enumerate(factors):
        x = _ublock(net, f"ublocks.{i}", x, *modulations[-1 - i], factor, dilations[i])
    return conv(net, "ublock_postconv", x)[:, 0]


def _film(net: State, name: str, x: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift, in this order."""
    h = leaky(conv(net, f"{name}.signal_conv.0", x)) + encoding(noise_level, x.shape[1], 5000)
    return conv(net, f"{name}.scale_conv", h), conv(net, f"{name}.shift_conv", h)


def _ublock(
    net: State, name: str, x: Tensor, scale: Tensor, shift: Tensor, factor: int, dilations: Sequence[int]
) -> Tensor:
    n_out = x.shape[2] * factor
    first, second = f"{name}.first_block_main_branch", f"{name}.second_block_main_branch"
    main = conv(net, f"{first}.upsampling.2", linear(leaky(x), n_out), dilations[0])
    main = conv(net, f"{first}.modulation.convolution", leaky(scale * main + shift), dilations[1])
    x = main + linear(conv(net, f"{name}.first_block_residual_branch.0", x), n_out)
    main = conv(net, f"{second}.modulation_0.convolution", leaky(scale * x + shift), dilations[2])
    return x + conv(net, f"{second}.modulation_1.convolution", leaky(scale * main + shift), dilations[3])
