"""From a network and a condition to the function that samplers and likelihoods take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wavegrad.device import Precision, autocast
from wavegrad.diffusion import NoiseSchedule
from wavegrad.diffusion.discrete import find_steps
from wavegrad.diffusion.guidance import guide, guided
from wavegrad.errors import ConfigError
from wavegrad.inference import Engine
from wavegrad.network import WaveGrad
from wavegrad.shapes import Mel, NoiseLevel, PredictNoise, PredictNoiseAndVariance, Waveform


@dataclass(frozen=True)
class Fast:
    """The prepared network, and how many frames of each item of the batch count."""

    engine: Engine
    frames: Sequence[int] | None = None
    """None: all items are as long as the batch."""


def bind_condition(
    network: WaveGrad, mel: Mel, guidance: float = 0.0, precision: Precision = "float32", fast: Fast | None = None
) -> PredictNoise:
    """epsilon_theta(y, noise_level) of this mel.

    Args:
        network: any kind; of a learned variance nothing is seen.
        mel: `batch n_mels frames`, on the device of the network, float32.
        guidance: weight w of classifier-free guidance; 0 is the plain network at one call, anything else takes two.
        precision: of the network's arithmetic; the prediction is float32.
        fast: the engine made of this network for this precision; left out, the network itself is called.

    Returns:
        A function that raises ConfigError where a network that is told the index of a step meets a noise level that is
        none of its training schedule's.

    Raises:
        ConfigError: guidance of a network that was not trained with dropped conditions.
    """
    check_guidance(network, guidance)
    if guidance == 0:
        return _plain(network, mel, precision, fast)
    unconditional = _plain(network, network.no_condition(mel), precision, fast)
    return guided(_plain(network, mel, precision, fast), unconditional, guidance)


def bind_with_variance(
    network: WaveGrad, mel: Mel, guidance: float = 0.0, precision: Precision = "float32"
) -> PredictNoiseAndVariance:
    """`bind_condition` that also returns v, the share of log beta in the log-variance of a step.

    Guidance moves the noise only; v is that of the condition.

    Raises:
        ConfigError: the network has no learned variance; or as `bind_condition`.
    """
    network.check_learned_variance()
    check_guidance(network, guidance)
    unconditional = None if guidance == 0 else _plain(network, network.no_condition(mel), precision)
    known = training_schedule(network)

    def predict(y: Waveform, noise_level: NoiseLevel) -> tuple[Waveform, Waveform]:
        _check_levels(noise_level, known)
        with autocast(y.device, precision):
            noise, v = network.noise_and_variance(y, mel, noise_level)
        noise = noise.float()
        return (noise if unconditional is None else guide(noise, unconditional(y, noise_level), guidance)), v

    return predict


def check_guidance(network: WaveGrad, weight: float) -> None:
    """Raise ConfigError unless the network can be guided with this weight; any network can with 0."""
    if not math.isfinite(weight):
        raise ConfigError(f"guidance is {weight}; it must be a finite number, 0 for the plain model")
    if weight != 0 and network.null_mel is None:
        raise ConfigError(
            f"guidance is {weight:g}, but this model was trained without dropped conditions and cannot be guided; "
            "leave it at 0, or train one with objective.condition_dropout"
        )


def training_schedule(network: WaveGrad) -> NoiseSchedule | None:
    """The schedule whose steps the network knows by index; None for one that is told the noise level."""
    levels = network.config.step_levels
    return None if levels is None else NoiseSchedule.from_noise_levels(levels, "training")


def _plain(network: WaveGrad, mel: Mel, precision: Precision, fast: Fast | None = None) -> PredictNoise:
    known = training_schedule(network)
    bound = None if fast is None else fast.engine.bind(mel, fast.frames)

    def predict_noise(y: Waveform, noise_level: NoiseLevel) -> Waveform:
        _check_levels(noise_level, known)
        if bound is not None:
            return bound(y, noise_level)
        with autocast(y.device, precision):
            return network(y, mel, noise_level).float()

    return predict_noise


def _check_levels(noise_level: NoiseLevel, known: NoiseSchedule | None) -> None:
    if known is not None:
        find_steps(sorted(set(noise_level.tolist())), known, "the sampler")
