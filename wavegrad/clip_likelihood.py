"""How natural a vocoder finds a recording, given its mel."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.prior import whiten, whitening_log_det
from wavegrad.binding import bind_condition, bind_with_variance
from wavegrad.diffusion import NoiseSchedule
from wavegrad.diffusion.likelihood import flow_bits, variational_bound
from wavegrad.errors import AudioError, ConfigError, unknown
from wavegrad.vocoder import Vocoder

Method = Literal["bound", "ode"]


@dataclass(frozen=True)
class ClipLikelihood:
    """-log2 p(waveform | mel) of one clip, bits per sample; few bits, likely."""

    whitened: float
    """Of the whitened waveform, whose level and colour are those of white noise: what clips are compared by."""
    log_gain: float
    """Mean of log2 of the prior's gains, which is minus log2 |det| of the whitening a sample; 0 for the standard
    prior."""
    n_samples: int
    """Samples that were judged: the whole frames of the clip."""
    terms: tuple[float, ...] = ()
    """"bound" only: the terms of the steps, the decoder's first, then that of the prior; their sum is `whitened`."""

    @property
    def waveform(self) -> float:
        """Of the waveform itself, as a density for samples in [-1, 1].

        p(y) = p(W y) |det W| with the whitening W. A quiet clip has a narrow and so a high density, whatever is in it:
        this compares models on one clip, not clips.
        """
        return self.whitened + self.log_gain


def clip_likelihood(
    vocoder: Vocoder,
    waveform: Float[Tensor, " time"],
    schedule: NoiseSchedule | str | int = 50,
    seed: int = 0,
    method: Method = "bound",
) -> ClipLikelihood:
    """Bits per sample of a recording, given its own mel.

    Args:
        vocoder: the model.
        waveform: `time`, at the model's rate, one frame or more; what is left of a frame at the end is not judged.
        schedule: the noise levels, as in a call of the vocoder.
        seed: of the noise ("bound") or of the trace estimator ("ode").
        method: "bound", `variational_bound` with the learned variance where there is one, else with beta's: one network
            call a level. "ode", `flow_bits`: two calls and their derivatives a level.

    Raises:
        AudioError: less than a frame.
        ConfigError: an unknown method or schedule.
    """
    if method not in get_args(Method):
        raise ConfigError(unknown("method", method, get_args(Method)))
    hop = vocoder.hop_length
    if len(waveform) < hop:
        raise AudioError(f"{len(waveform)} samples are less than a frame, {hop}; nothing can be said of them")
    found = vocoder.find_schedule(schedule)
    clip = waveform[: len(waveform) // hop * hop].to(vocoder.device, torch.float32)[None]
    mel = vocoder.mel(clip)
    gains = vocoder.prior_gains(mel)
    y_0 = whiten(clip, gains)
    log_gain = 0.0 if gains is None else -whitening_log_det(gains).item() / (clip.shape[1] * math.log(2))
    if method == "ode":
        bits = flow_bits(bind_condition(vocoder.network, mel), found, y_0, [seed])
        return ClipLikelihood(bits.item(), log_gain, clip.shape[1])
    learned = vocoder.network.config.learned_variance
    predict = bind_with_variance(vocoder.network, mel) if learned else bind_condition(vocoder.network, mel)
    with torch.no_grad():
        bound = variational_bound(predict, found, y_0, [seed], "learned" if learned else "beta")
    terms = (*bound.terms[0].tolist(), bound.prior.item())
    return ClipLikelihood(bound.total.item(), log_gain, clip.shape[1], terms)
