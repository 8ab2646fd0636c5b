"""The refinement steps, one behind the other along time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from wavegrad.diffusion import LinearStep, Noise, seeded_noise
from wavegrad.errors import WavegradError
from wavegrad.inference.streaming.memory import Delay, Line, Workspace
from wavegrad.inference.streaming.network import StreamLayers, StreamNetwork
from wavegrad.inference.streaming.noise import StreamNoise
from wavegrad.inference.streaming.window import Window
from wavegrad.pieces import Buffer, Operator, Piece

MAX_FRAMES = 64
"""What comes at once is worked off in pieces of this length: it bounds the memory, and longer ones are no faster."""

State = Float[Tensor, "time batch 2"]
"""y, and the y_0 that the last step predicted, which multistep solvers look back at."""


class StreamSampler(Operator):
    """Mel frames in, y_0 out, as far as it is final.

    Args:
        layers: of the network; they stay as they are, and other streams may use them meanwhile.
        steps: of the sampler, from N down to 1.
        seeds: one for each item of the batch.
        pipeline_frames: None: each step takes what the step before has just made. A number: all steps are one batch,
            each takes so many frames that the step before made a call earlier.
    """

    def __init__(
        self,
        layers: StreamLayers,
        steps: Sequence[LinearStep],
        seeds: Sequence[int],
        pipeline_frames: int | None = None,
    ):
        self.hop_length = layers.network.hop_length
        self.pipeline_frames = pipeline_frames
        noise = seeded_noise(seeds, layers.device)
        self.first_noise = StreamNoise(noise, steps[0].n)
        self.mel_conv = layers.mel_conv.fork()
        groups = [steps] if pipeline_frames else [[step] for step in steps]
        self.groups = [StreamSteps(layers.network.fork(), group, noise) for group in groups]
        step_lag = self.groups[0].lag
        self.spacing = step_lag + (pipeline_frames or 0)
        """Frames that each step is behind the one before."""
        self.behind = self.spacing * (len(steps) - 1)
        """Frames that the last step is behind the mel."""
        self.lag = self.behind + step_lag
        """Frames that y_0 is behind the mel, which comes in whole calls."""
        self.conditions = Line(self.behind)
        self.waiting = Buffer(right=self.lag + (pipeline_frames or 1) - 1)
        self.workspace = Workspace()
        self.n_begun = 0

    def push(self, mel: Piece) -> Piece:
        """`batch n_mels frames` -> `batch time`, float32."""
        frames, end = self.waiting.append(mel), mel.stop if mel.last else None
        size = self.pipeline_frames or MAX_FRAMES
        n_ready = frames.shape[2] - (frames.shape[2] % size if self.pipeline_frames else 0)
        self.waiting.drop(n_ready)
        start = (self.n_begun - self.lag) * self.hop_length
        if not n_ready:
            return Piece(max(0, start), frames.new_empty(len(frames), 0), mel.last)
        made = [self._advance(part, end) for part in frames[..., :n_ready].split(size, dim=2)]
        y_0 = torch.cat(made).T[:, max(0, -start) :]
        start = max(0, start)
        return Piece(start, y_0 if end is None else y_0[:, : end * self.hop_length - start], mel.last)

    def _advance(self, mel: Tensor, end: int | None) -> Float[Tensor, "time batch"]:
        """One call of each group -> what is new of y_0, or of what lies outside the signal."""
        n_items, n_frames, first = len(mel), mel.shape[2], self.n_begun
        self.n_begun += n_frames
        window = Window((first,) * n_items, n_frames, end, self.workspace)
        conditions = self.conditions.push(self.mel_conv.push(mel, window))
        y = self.first_noise(n_frames * self.hop_length, first * self.hop_length).T
        state = torch.stack((y, torch.zeros_like(y)), dim=2)
        for i, group in enumerate(self.groups):
            delays = [(i + j) * self.spacing for j in range(len(group.steps))]
            condition = torch.cat([conditions[self.behind - delay :][:n_frames] for delay in delays], dim=1)
            firsts = tuple(first - delay for delay in delays for _ in range(n_items))
            state = group.push(state, condition, Window(firsts, n_frames, end, self.workspace))
        return state[:, :, 0]


class StreamSteps(Operator):
    """Steps that work side by side, each on what the one before it made a call earlier: y_n in, y_{n-1} out.

    One after the other, they are a batch of steps times items.
    """

    def __init__(self, network: StreamNetwork, steps: Sequence[LinearStep], noise: Noise):
        self.network = network
        self.steps = list(steps)
        self.noises = [StreamNoise(noise, step.n - 1) for step in steps]
        self.n_items = len(noise.seeds)
        self.hop_length = network.hop_length
        self.lag = -(-network.lag // self.hop_length)
        """In whole frames, so that all steps find their signal cut alike."""
        self.wait_state = Delay(self.lag * self.hop_length)
        self.wait_prediction = Delay(self.lag * self.hop_length - network.lag)
        self.of_state, self.of_prediction, self.of_previous, self.level = (
            _of_items([getattr(step, name) for step in steps], noise)
            for name in ("of_state", "of_prediction", "of_previous", "noise_level")
        )
        self.looks_back = any(step.of_previous for step in steps)
        self.network.bind(self.level)
        self._made: Tensor | None = None

    def push(self, state: State, condition: Float[Tensor, "frames _ channels"], window: Window) -> State:
        """What the last step makes, `lag` frames late.

        Args:
            state: of the first step.
            condition: of all steps.
            window: of all steps.
        """
        begin = min(max(0, -window.highest), window.n_frames)
        stop = window.n_frames if window.end is None else min(window.n_frames, window.end + self.lag - window.lowest)
        if begin >= stop:
            return torch.zeros_like(state)  # outside the signal
        if len(self.steps) > 1:
            return self._step(self._side_by_side(state, condition.shape[1]), condition, window)[:, -self.n_items :]
        if stop - begin == window.n_frames:
            return self._step(state, condition, window)
        made, inside = torch.zeros_like(state), slice(begin * self.hop_length, stop * self.hop_length)
        made[inside] = self._step(state[inside], condition[begin:stop], window.cut(begin, stop))
        return made

    def _side_by_side(self, state: State, n_batch: int) -> Float[Tensor, "time _ 2"]:
        """What each step works on."""
        before = state.new_zeros(len(state), n_batch, 2) if self._made is None else self._made
        return torch.cat((state, before[:, : -self.n_items]), dim=1)

    def _step(self, state: State, condition: Float[Tensor, "frames _ channels"], window: Window) -> State:
        """What all steps make."""
        predicted = self._checked(self.network.push(state[:, :, 0], condition, window))
        made = self._mix(self.wait_state.joined(state), self.wait_prediction.joined(predicted))
        self._add_noise(made, window)
        self._made = made if len(self.steps) > 1 else None
        return made

    def _mix(self, state: State, predicted: Float[Tensor, "time batch"]) -> State:
        """y_{n-1} without its noise, and this step's y_0 (DDPM, Ho et al. 2020, eq. 15)."""
        y, previous = state.unbind(2)
        y_0 = (y - (1 - self.level**2) ** 0.5 * predicted) / self.level
        mixed = self.of_state * y + self.of_prediction * predicted
        if self.looks_back:
            mixed += self.of_previous * previous
        return torch.stack((mixed, y_0), dim=2)

    def _add_noise(self, state: State, window: Window) -> None:
        """That of each step, in place."""
        for i, (step, noise) in enumerate(zip(self.steps, self.noises, strict=True)):
            start = (window.firsts[i * self.n_items] - self.lag) * self.hop_length
            begin, stop = max(0, start), start + len(state)
            if step.of_noise and begin < stop:
                items = slice(i * self.n_items, (i + 1) * self.n_items)
                state[begin - start :, items, 0].add_(noise(stop - begin, begin).T, alpha=step.of_noise)

    def _checked(self, predicted: Float[Tensor, "time batch"]) -> Float[Tensor, "time batch"]:
        if not torch.isfinite(predicted).all():
            bad = (~torch.isfinite(predicted)).any(dim=0).unflatten(0, (len(self.steps), self.n_items))
            i = int(bad.any(dim=1).nonzero()[0])
            items = bad[i].nonzero().flatten().tolist()
            raise WavegradError(
                f"the network's prediction is not finite at refinement step {self.steps[i].n} (items {items} of the "
                "batch)"
            )
        return predicted.float()


def _of_items(of_steps: list[float], noise: Noise) -> Float[Tensor, " batch"]:
    """A number of each step, for all its items."""
    numbers = torch.tensor(of_steps, dtype=noise.dtype, device=noise.device)
    return numbers.repeat_interleave(len(noise.seeds))
