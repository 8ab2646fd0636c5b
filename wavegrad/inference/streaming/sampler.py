"""The refinement steps, one behind the other along time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wavegrad.diffusion import LinearStep, Noise, seeded_noise
from wavegrad.errors import WavegradError
from wavegrad.inference.streaming.network import StreamMelConv, StreamNetwork
from wavegrad.network import WaveGrad
from wavegrad.pieces import Join, Operator, Piece


class StreamSampler(Operator):
    """Mel frames in, y_0 out, as far as it is final.

    Args:
        network: its weights are shared, and must not change meanwhile.
        steps: of the sampler, from N down to 1.
        seeds: one for each item of the batch.
    """

    def __init__(self, network: WaveGrad, steps: Sequence[LinearStep], seeds: Sequence[int]):
        parameter = next(network.parameters())
        self.hop_length = network.config.hop_length
        self.noise = seeded_noise(seeds, parameter.device)
        self.first_noise = steps[0].n
        self.mel_conv = StreamMelConv(network)
        template = StreamNetwork(network)
        self.steps = [StreamStep(template.fork(), step, self.noise) for step in steps]

    def push(self, mel: Piece) -> Piece:
        """`batch n_mels frames` -> `batch time`, float32."""
        start, n_samples = mel.start * self.hop_length, mel.values.shape[2] * self.hop_length
        y = self.noise(self.first_noise, n_samples, start)
        state = Piece(start, torch.stack((y, torch.zeros_like(y))), mel.last)
        condition = self.mel_conv.push(mel)
        for step in self.steps:
            state = step.push(state, condition)
        return state.map(_y)


class StreamStep(Operator):
    """One step: y_n in, y_{n-1} out, later by the look-ahead of the network.

    What flows is `2 batch time`: y, and the y_0 that the last step predicted, which multistep solvers look back at.
    """

    def __init__(self, network: StreamNetwork, step: LinearStep, noise: Noise):
        self.network = network
        self.step = step
        self.noise = noise
        self.join = Join(self._mix)
        n_items = len(noise.seeds)
        self.network.bind(torch.full((n_items,), step.noise_level, dtype=noise.dtype, device=noise.device))

    def push(self, state: Piece, condition: Piece) -> Piece:
        predicted = self.network.push(state.map(_y), condition).map(self._check)
        return self._add_noise(self.join.push(state, predicted))

    def _mix(self, state: Tensor, predicted: Tensor) -> Tensor:
        """y_{n-1} without its noise, and this step's y_0 (DDPM, Ho et al. 2020, eq. 15)."""
        y, previous = state
        level = self.step.noise_level
        y_0 = (y - (1 - level**2) ** 0.5 * predicted) / level
        mixed = self.step.of_state * y + self.step.of_prediction * predicted
        if self.step.of_previous:
            mixed = mixed + self.step.of_previous * previous
        return torch.stack((mixed, y_0))

    def _add_noise(self, state: Piece) -> Piece:
        n_samples = state.values.shape[2]
        if not self.step.of_noise or not n_samples:
            return state
        noise = self.noise(self.step.n - 1, n_samples, state.start)
        return state.map(lambda values: torch.stack((values[0] + self.step.of_noise * noise, values[1])))

    def _check(self, predicted: Tensor) -> Tensor:
        if not torch.isfinite(predicted).all():
            items = (~torch.isfinite(predicted)).any(dim=1).nonzero().flatten().tolist()
            raise WavegradError(
                f"the network's prediction is not finite at refinement step {self.step.n} (items {items} of the batch)"
            )
        return predicted.float()


def _y(state: Tensor) -> Tensor:
    return state[0].contiguous()
