"""The layers of a WaveGrad network, one by one and the slow way: nothing of torch but a convolution."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

State = dict[str, Tensor]


def conv(state: Mapping[str, Tensor], name: str, x: Tensor, dilation: int = 1, stride: int = 1) -> Tensor:
    """Zeros around `x`, as many on either side, so that stride 1 keeps the length (and a kernel of stride + 2 gives
    time / stride)."""
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    around = dilation * (weight.shape[2] - 1) // 2 if stride == 1 else 1
    zeros = x.new_zeros(*x.shape[:2], around)
    padded = torch.cat((zeros, x, zeros), dim=2)
    return torch.conv1d(padded, weight, bias, stride=stride, dilation=dilation)


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def repeat(x: Tensor, factor: int) -> Tensor:
    """a b -> a a a b b b."""
    return x.repeat_interleave(factor, dim=2)


def linear(x: Tensor, n_out: int) -> Tensor:
    """Values of the line through the samples of `x`, both grids centred on the same interval; flat beyond the ends."""
    n_in = x.shape[2]
    columns = []
    for i in range(n_out):
        place = min(max((i + 0.5) * n_in / n_out - 0.5, 0.0), n_in - 1.0)
        left = int(place)
        right = min(left + 1, n_in - 1)
        columns.append((1 - (place - left)) * x[:, :, left] + (place - left) * x[:, :, right])
    return torch.stack(columns, dim=2)


def encoding(noise_level: Tensor, channels: int, scale: float) -> Tensor:
    """`batch channels 1`: sines, then cosines, of scale * level * 10^(-4 i / (channels / 2))."""
    half = channels // 2
    rows = []
    for level in noise_level.tolist():
        angles = [scale * level * 10 ** (-4 * i / half) for i in range(half)]
        rows.append([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
    return torch.tensor(rows, dtype=noise_level.dtype)[:, :, None]


def random_state(shapes: Mapping[str, Sequence[int]], seed: int) -> State:
    """float32 weights of the given shapes (outputs, inputs, kernel), which about keep the scale of what goes through,
    and with a bias each."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, (n_out, n_in, kernel) in shapes.items():
        fan_in = n_in * kernel
        state[f"{name}.weight"] = torch.randn(n_out, n_in, kernel, generator=generator) * 0.75 / fan_in**0.5
        state[f"{name}.bias"] = 0.3 * torch.randn(n_out, generator=generator)
    return state
