"""A wider network from a narrower one: the same function at first, with room to learn more."""

import torch
from jaxtyping import Int64
from torch import Tensor

from wavegrad.network import WaveGrad
from wavegrad.network.conv import Conv
from wavegrad.network.film import FiLM

Channels = Int64[Tensor, " _"]
"""Where the channels of the narrow layer lie among those of the wide one."""


def widens(wide: WaveGrad, narrow: WaveGrad) -> bool:
    """Whether `wide` has the layers of `narrow`, none narrower, some wider, for the same mel, with the same kernels."""
    old, new = narrow.state_dict(), wide.state_dict()
    if old.keys() != new.keys() or wide.config.n_mels != narrow.config.n_mels:
        return False
    pairs = [(old[name].shape, new[name].shape) for name in old]
    fits = all(a[2:] == b[2:] and all(x <= y for x, y in zip(a, b, strict=True)) for a, b in pairs)
    return fits and any(a != b for a, b in pairs)


@torch.no_grad()
def widen_(wide: WaveGrad, narrow: WaveGrad) -> None:
    """Copy `narrow` into `wide`, in place, so that both predict the same noise.

    The aim is that of Net2WiderNet (Chen et al. 2016, arXiv 1511.05641), whose new channels are copies of old ones.
    Here the weights into a new channel stay random, and those from it to the old channels are zero: so the function is
    kept, and no two channels are alike.

    Where the widths of a FiLM's hidden layer do not divide each other, its old channels are told the noise level by the
    nearest frequencies of the wide embedding, and the function is kept nearly.

    Args:
        wide: newly initialised, with `widens(wide, narrow)`.
        narrow: trained.
    """
    layers = dict(narrow.named_modules())
    for name, layer in wide.named_modules():
        old = layers[name]
        if isinstance(layer, FiLM):
            assert isinstance(old, FiLM)
            hidden = embedding_channels(old.embedding.channels, layer.embedding.channels)
            scale = torch.arange(old.output.out_channels // 2)
            _copy(layer.input, old.input, rows=hidden)
            _copy(
                layer.output,
                old.output,
                rows=torch.cat((scale, layer.output.out_channels // 2 + scale)),
                columns=hidden,
            )
        elif isinstance(layer, Conv) and not name.startswith("films."):
            assert isinstance(old, Conv)
            _copy(layer, old)
    if wide.null_mel is not None and narrow.null_mel is not None:
        wide.null_mel.copy_(narrow.null_mel)


def embedding_channels(narrow: int, wide: int) -> Channels:
    """Those of the wide embedding that turn at the frequencies of the narrow one, sines before cosines; the nearest
    ones where there are no equal ones."""
    sines = (torch.arange(narrow // 2) * wide / narrow).round().long()
    return torch.cat((sines, wide // 2 + sines))


def _copy(new: Conv, old: Conv, rows: Channels | None = None, columns: Channels | None = None) -> None:
    """The weights of `old`, at `rows` (outputs) and `columns` (inputs) of `new`; left out: the first ones. Those rows
    are zero in all other columns."""
    rows = torch.arange(old.out_channels) if rows is None else rows
    columns = torch.arange(old.in_channels) if columns is None else columns
    assert new.bias is not None
    assert old.bias is not None
    new.bias[rows] = old.bias
    new.weight[rows] = 0.0
    new.weight[rows[:, None], columns] = old.weight
