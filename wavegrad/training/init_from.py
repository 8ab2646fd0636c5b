"""Fine-tuning: start from the weights of a model."""

from collections.abc import Callable
from typing import Any

from wavegrad.checkpoint import Model
from wavegrad.config import to_dict
from wavegrad.errors import ConfigError
from wavegrad.network import WaveGrad
from wavegrad.training.model_recipe import ModelRecipe
from wavegrad.training.widen import widen_, widens

LEAST_SHARE = 0.1
"""Less than this share of the weights taken over is no fine-tuning: a few biases of equal length fit anything."""

UNSEEN = (
    *("mel_mean", "mel_std", "factors", "ublock_dilations", "dblock_dilations", "level_scale", "downsampling"),
    *("upsampling", "leaky_slope"),
)
"""Of the network's config, what weights of the same shapes may differ in."""


def init_from(network: WaveGrad, model: Model, recipe: ModelRecipe, say: Callable[[str], None]) -> None:
    """Copy into `network` the model's weights, in place. A wider network of the same layers begins as the same function
    (`widen_`); else a layer of another shape keeps its new, random weights and is named.

    Args:
        network: of the recipe, newly initialised.
        model: where the weights come from.
        recipe: of the new model; where its front-end or prior differ from the old ones, or what its network does with
            equal weights, that is said.
        say: where messages go.

    Raises:
        ConfigError: less than a tenth of the network fits.
    """
    if widens(network, model.network):
        widen_(network, model.network)
        counts = [sum(w.numel() for w in n.parameters()) for n in (model.network, network)]
        say(f"starting from all {counts[0]:,} weights of that model, in a wider network of {counts[1]:,}")
    else:
        _take_over(network, model, recipe, say)
    for what, before, now in (
        ("network", _unseen(model.network), _unseen(network)),
        ("front-end", to_dict(model.mel_config), to_dict(recipe.mel_config())),
        ("prior", to_dict(model.prior), to_dict(recipe.prior)),
    ):
        differ = [f"{key} {before.get(key)!r} -> {now[key]!r}" for key in now if before.get(key) != now[key]]
        if differ:
            say(f"the {what} differs, training must make up for it: {', '.join(differ)}")


def _take_over(network: WaveGrad, model: Model, recipe: ModelRecipe, say: Callable[[str], None]) -> None:
    """Whatever has the same shape."""
    old, new = model.network.state_dict(), network.state_dict()
    fits = {name: w for name, w in old.items() if name in new and new[name].shape == w.shape}
    count, total = (sum(w.numel() for w in weights.values()) for weights in (fits, new))
    if count < LEAST_SHARE * total:
        raise ConfigError(
            f"of the {total:,} weights of the recipe's network ({recipe.network}) only {count:,} have their shape in "
            "that model: it is another network; set model.network to the one it was trained with"
        )
    network.load_state_dict(fits, strict=False)
    say(f"starting from {len(fits)} of {len(new)} tensors ({count:,} weights) of that model")
    for name in new.keys() - fits.keys():
        was = f"{tuple(old[name].shape)} there" if name in old else "not there"
        say(f"new, random weights: {name}, {tuple(new[name].shape)} here, {was}")
    for name in old.keys() - new.keys():
        say(f"left behind: {name}, {tuple(old[name].shape)} there, not here")


def _unseen(network: WaveGrad) -> dict[str, Any]:
    """What a network is besides the shapes of its weights: the normalisation of its mel, for instance."""
    config = to_dict(network.config)
    conditioning = "index" if network.config.step_levels else "level"
    return {**{key: config[key] for key in UNSEEN}, "conditioning": conditioning}
