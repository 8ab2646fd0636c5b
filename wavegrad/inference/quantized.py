"""Convolutions and matrix products in 8-bit integers, for processors that multiply those faster (VNNI, AMX).

A weight is a whole number from -127 to 127 times the scale of its output channel. A feature x is s (q - z), q from 0 to
255, with s and z from the range of the item at hand: nothing has to be calibrated, and no item depends on others of its
batch. With W q counted in integers, W x = s W q - s z W 1: the second term is a constant, less at the ends, where taps
reach beyond the signal. (oneDNN takes z too, but then its dilated convolutions are half as fast on an Ice Lake core.)
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int8, Int32, UInt8
from torch import Tensor

from wavegrad.errors import ConfigError
from wavegrad.inference.ends import Ends
from wavegrad.inference.rows import Rows, RowsConvolution, RowsOut, picture, rows_of
from wavegrad.network.conv import Conv

LEVELS = 255
"""Steps of a feature's range, which always holds zero."""
LARGEST = 127
"""Of a weight."""
FEWEST_CHANNELS = 16
"""Layers with less, at either side, are a small part of the work and stay in float32."""


@dataclass(frozen=True)
class Codes:
    """A feature in whole numbers: x is `scale` (q - `zero`), to half a `scale`."""

    q: UInt8[Tensor, "1 time channels"]
    scale: float
    zero: int

    @classmethod
    def of(cls, x: Float[Tensor, "1 time channels"]) -> "Codes":
        """With the range of `x` and zero spread over all codes; what is not finite makes everything NaN."""
        low, high = (bound.item() for bound in torch.aminmax(x))
        if not math.isfinite(high - low):
            return cls(torch.zeros_like(x, dtype=torch.uint8), math.nan, 0)
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / LEVELS, torch.finfo(torch.float32).tiny)
        zero = round(-low / scale)
        quantized = torch.quantize_per_tensor(x, scale, zero, torch.quint8)
        q = torch.empty(0, dtype=torch.uint8).set_(quantized.untyped_storage(), 0, x.shape, quantized.stride())
        return cls(q, scale, zero)


@dataclass(frozen=True)
class Weights:
    """Weights in whole numbers, with what each tap makes of ones."""

    q: Int8[Tensor, "n_out n_in taps"]
    scales: Float[Tensor, " n_out"]
    sums: Float[Tensor, "taps n_out"]
    """W 1 of each tap."""
    total: Float[Tensor, " n_out"]
    """W 1 where no tap lies beyond an end."""
    zeros: Int32[Tensor, " n_out"]
    """Zero points of the output channels: none."""

    @classmethod
    def of(cls, weight: Float[Tensor, "n_out n_in taps"]) -> "Weights":
        """To the nearest."""
        weight = weight.detach().float()
        scales = weight.abs().amax((1, 2)).clamp(min=torch.finfo(torch.float32).tiny) / LARGEST
        q = (weight / scales[:, None, None]).round()
        sums = (q.sum(1) * scales[:, None]).mT.contiguous()
        return cls(q.to(torch.int8), scales, sums, sums.sum(0), torch.zeros(len(q), dtype=torch.int32))


@dataclass(frozen=True)
class QuantizedLinear:
    """`Linear` in integers."""

    weights: Weights
    packed: Tensor
    bias: Float[Tensor, " n_out"]

    @classmethod
    def prepare(cls, weight: Float[Tensor, "n_out n_in"], bias: Float[Tensor, " n_out"]) -> "QuantizedLinear":
        """The weights are copied."""
        weights = Weights.of(weight[:, :, None])
        packed = torch.ops.onednn.qlinear_prepack(weights.q[:, :, 0].contiguous(), None)
        return cls(weights, packed, bias.detach().float().clone())

    def __call__(self, x: Float[Tensor, "batch time n_in"]) -> Float[Tensor, "batch time n_out"]:
        return _by_item(x, self.of_codes)

    def of_codes(self, codes: Codes) -> Float[Tensor, "1 time n_out"]:
        """Of an item in codes."""
        w, (q, scale, zero) = self.weights, (codes.q, codes.scale, codes.zero)
        return torch.ops.onednn.qlinear_pointwise(
            q, scale, zero, self.packed, w.scales, w.zeros, self.bias, 1.0, 0, torch.float32, "none", [], ""
        )


@dataclass(frozen=True)
class QuantizedConvolution(RowsConvolution):
    """`Convolution` in integers."""

    weights: Weights
    packed: Tensor
    bias: Float[Tensor, " n_out"]
    padding: int
    dilation: int
    stride: int

    @classmethod
    def prepare(cls, conv: Conv) -> "QuantizedConvolution":
        """From a layer of the network."""
        assert conv.bias is not None
        weights, geometry = Weights.of(conv.weight), (int(conv.padding[0]), conv.dilation[0], conv.stride[0])
        packed = torch.ops.onednn.qconv_prepack(
            weights.q[:, :, None].contiguous(), weights.scales, 1.0, 0, *_image(*geometry), 1, None
        )
        return cls(weights, packed, conv.bias.detach().float().clone(), *geometry)

    def __call__(self, x: Rows, bias: Tensor | None = None) -> RowsOut:
        return _by_item(x, lambda codes: self._item(codes, self.bias if bias is None else bias))

    def add_to_(self, h: RowsOut, x: Rows, ends: Ends) -> RowsOut:
        for onto, item in zip(h.split(1), x.split(1), strict=True):
            self._item(Codes.of(item), self.bias, onto)
        return ends.clear_(h)

    def _item(self, codes: Codes, bias: Tensor, onto: Float[Tensor, "1 time_out n_out"] | None = None) -> Tensor:
        """In a new tensor, or added to `onto` in place."""
        w, of_zero = self.weights, codes.scale * codes.zero
        coded = picture(codes.q), codes.scale, 0, self.packed, w.scales, w.zeros
        plain = bias - of_zero * w.total, *_image(self.padding, self.dilation, self.stride), 1, 1.0, 0, torch.float32
        if onto is None:
            y = torch.ops.onednn.qconv_pointwise(*coded, *plain, "none", [], "")
        else:
            add = torch.ops.onednn.qconv2d_pointwise.binary
            y = add(*coded, picture(onto), *plain, 1.0, 0, "sum", 1.0, None, [], None)
        rows = rows_of(y)
        self._mend_ends_(rows, of_zero, codes.q.shape[1])
        return rows

    def _mend_ends_(self, rows: Float[Tensor, "1 time_out n_out"], of_zero: float, n_time: int) -> None:
        """Where a tap lies beyond an end there is no code, and so no `zero` to take off."""
        n_out = rows.shape[1]
        for tap, ones in enumerate(self.weights.sums):
            offset = tap * self.dilation - self.padding
            n_before = min(-(-max(-offset, 0) // self.stride), n_out)
            n_inside = min(max(-(-(n_time - offset) // self.stride), 0), n_out)
            if n_before:
                rows[:, :n_before] += of_zero * ones
            if n_inside < n_out:
                rows[:, n_inside:] += of_zero * ones


def check_int8(device: torch.device) -> None:
    """Raise ConfigError unless 8-bit integers are multiplied quickly, and without overflow, on this device."""
    if device.type != "cpu":
        raise ConfigError(f"precision 'int8' is for CPUs, not for {device.type!r}; use 'bfloat16' there")
    if not has_int8():
        raise ConfigError("precision 'int8' needs a processor with VNNI or AMX, which this one has not; use 'float32'")


def has_int8() -> bool:
    """Whether this processor has the instructions: those before them are no quicker than floats, and overflow."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def is_wide(weight: Tensor) -> bool:
    """Whether integers are worth while for weights of `n_out n_in ...`."""
    return min(weight.shape[:2]) >= FEWEST_CHANNELS


def _by_item(x: Tensor, layer: Callable[[Codes], Tensor]) -> Tensor:
    items = [layer(Codes.of(item)) for item in x.split(1)]
    return items[0] if len(items) == 1 else torch.cat(items)


def _image(padding: int, dilation: int, stride: int) -> tuple[list[int], list[int], list[int]]:
    """Stride, padding and dilation of a picture of one line."""
    return [1, stride], [0, padding], [1, dilation]
