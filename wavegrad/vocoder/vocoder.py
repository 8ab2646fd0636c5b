"""Mel spectrogram in, speech out: whole, in batches, and as a stream."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from wavegrad.audio.mel_check import check_mel
from wavegrad.checkpoint import Model, load_model, resolve_model, save_model
from wavegrad.device import PrecisionName, choose_precision
from wavegrad.diffusion import NoiseSchedule, Sampler, Variance, choose_sampler
from wavegrad.errors import AudioError, CheckpointError, ConfigError
from wavegrad.inference import in_smaller_batches, sample_at_once
from wavegrad.shapes import Waveform
from wavegrad.vocoder.frozen_model import EngineName
from wavegrad.vocoder.items import (
    batch_of_waveforms,
    colour_items,
    crop_items,
    hold_last_frame,
    item_frames,
    item_lengths,
    item_seeds,
)
from wavegrad.vocoder.streaming_model import StreamingModel


@dataclass(frozen=True, eq=False)
class Vocoder(StreamingModel):
    """Turns mel spectrograms into waveforms. Immutable: no call changes it, and it can be shared between threads.

    Args and errors are those of `FrozenModel`: mel_config, network, and by choice prior, schedules, default_schedule,
    card, griffin_lim and engine_options.
    """

    @classmethod
    def from_pretrained(cls, name_or_dir: str | Path | None = None) -> "Vocoder":
        """Load a vocoder, onto the CPU.

        Args:
            name_or_dir: a model directory, the name of a shipped model, or a Hugging Face Hub id "owner/name"; left
                out, the default model of the package.

        Raises:
            CheckpointError: there is no such model, or its files are damaged, newer or do not fit each other.
        """
        directory = resolve_model(name_or_dir)
        m = load_model(directory)
        try:
            return cls(m.mel_config, m.network, m.prior, m.schedules, m.default_schedule, m.card, m.griffin_lim)
        except ConfigError as error:
            raise CheckpointError(f"{directory}: {error}") from error

    def save_pretrained(self, directory: str | Path, half: bool = False) -> None:
        """Write a model directory, whole or not at all; a model directory that is there is replaced.

        Args:
            directory: where to.
            half: store the weights as float16: half the size, each weight rounded to 11 bits.

        Raises:
            CheckpointError: `directory` holds something else than a model.
        """
        model = Model(
            self.mel_config,
            self.network,
            self.prior,
            self.schedules,
            self.default_schedule,
            self.card,
            self.griffin_lim,
        )
        save_model(model, directory, half)

    def __call__(
        self,
        mel: Tensor,
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        length: int | Sequence[int] | None = None,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        guidance: float = 0.0,
        precision: PrecisionName = "float32",
        engine: EngineName = "fast",
        griffin_lim: int | None = None,
        frames: Sequence[int] | None = None,
        on_step: Callable[[int, Waveform], None] | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """Synthesise.

        Args:
            mel: `batch n_mels frames`, or `n_mels frames` for one item, in the convention of `mel_config`.
            schedule: a schedule; the name of one of the model's, or else of wavegrad.diffusion; a number of steps (the
                model's schedule of that length, or else `generic_schedule`); left out, the model's default.
            seed: of the noise. Item i of a batch gets seed + i, or seed[i]: no item depends on its neighbours. A seed
                gives the same noise on all GPUs, and on all CPUs, but not on both (`seeded_noise`).
            length: samples to keep, or one number for each item (the shorter ones end in zeros).
            sampler: a sampler, or the name of one of wavegrad.diffusion.SAMPLERS ("ddim", "ddim:eta=0.5"); left out,
                `default_sampler` of the number of steps.
            variance: short for the ancestral sampler with this sigma_n^2: "posterior" is the paper's, "beta" the larger
                one of DDPM; see `Ancestral`.
            guidance: weight w of classifier-free guidance, for models trained with dropped conditions; 0 is the plain
                model at one network call a step, anything else takes two.
            precision: of the network's arithmetic; the waveform being refined is float32 always. "float32" on a GPU:
                PyTorch rounds the factors of convolutions to 11 bits there (TF32), unless
                torch.backends.cudnn.allow_tf32 is set to False. "auto": bfloat16 where the device has units for it (a
                GPU from Ampere on, a CPU with AVX512-BF16 or AMX), else float32; so the audio of a seed depends on
                the machine then, by a rounding. "int8" multiplies 8-bit integers, on a CPU with VNNI
                or AMX and by the fast engine: see `wavegrad.inference.quantized`.
            engine: "reference" runs the network as it was trained; "fast" the same function in fewer operations (1e-5
                apart in float32).
            griffin_lim: iterations of `MelConsistency` after the last step, which bring the waveform to the mel; 0 is
                the network's own waveform, left out, what the model says.
            frames: of each item, where the items of a batch have different lengths; what the mel holds beyond them does
                not matter, and each item becomes what it would alone, then zeros.
            on_step: called after every step with its number and the (whitened) waveform as it is then.

        Returns:
            `batch time`, or `time` for one item, float32, on `device`, nominally in [-1, 1] (nothing is clipped);
            time is frames * hop_length, or what `length` says.

        Raises:
            AudioError: a mel that cannot come from the front-end, or a length that it does not have.
            ConfigError: an unknown schedule or sampler, both a sampler and a variance, another number of seeds than
                items, a schedule that a model told the index of its step does not know, guidance or a learned
                variance of a model that was not trained for it, or a precision that this device, engine or variance
                does not have.

        Warns:
            MelWarning: a mel that hardly comes from the front-end.
        """
        check_mel(mel, self.mel_config)
        batch = (mel if mel.dim() == 3 else mel[None]).to(self.device, torch.float32)
        n_samples = batch.shape[2] * self.hop_length
        ends = item_frames(frames, len(batch), batch.shape[2])
        lengths = item_lengths(
            length if length is not None else [n * self.hop_length for n in ends], len(batch), n_samples
        )
        seeds = item_seeds(seed, len(batch))
        chosen = self.find_schedule(schedule)
        walk = choose_sampler(sampler, variance, chosen.n_steps)
        arithmetic = choose_precision(precision, self.device)
        consistency = self._consistency(griffin_lim)
        with torch.inference_mode():
            gains = self.prior_gains(batch)
            y_0 = None
            if engine == "fast" and guidance == 0 and on_step is None and self._is_plain:
                y_0 = sample_at_once(self._engine(arithmetic), walk, chosen, batch, ends, seeds)
            if y_0 is None:
                y_0 = walk(
                    self._bound(batch, walk, guidance, arithmetic, engine, ends),
                    chosen,
                    n_samples,
                    seeds,
                    device=self.device,
                    on_step=on_step,
                )
            waveform = consistency(colour_items(y_0, gains, ends), batch, ends)
            waveform = crop_items(waveform, lengths)
        waveform = waveform.clone()  # one that autograd may use
        return waveform if mel.dim() == 3 else waveform[0]

    def batch(
        self,
        mels: Sequence[Float[Tensor, "n_mels _"]],
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        guidance: float = 0.0,
        precision: PrecisionName = "float32",
        griffin_lim: int | None = None,
    ) -> list[Float[Tensor, " _"]]:
        """Several utterances of any lengths at once: what a GPU wants. Each becomes what it would alone.

        Args:
            mels: `n_mels frames` each.
            schedule, seed, sampler, guidance, precision, griffin_lim: as in a call.

        Raises:
            AudioError, ConfigError: as in a call.

        Warns:
            MemoryWarning: the memory was not enough for all of them; they were done in smaller batches.
        """
        for mel in mels:
            check_mel(mel, self.mel_config)
            if mel.dim() != 2:
                raise AudioError(f"a mel of shape {tuple(mel.shape)} in a list of single ones; split it: list(mel)")
        seeds = item_seeds(seed, len(mels))

        def run(items: list[int]) -> list[Tensor]:
            frames = [mels[i].shape[1] for i in items]
            padded = [hold_last_frame(mels[i], max(frames)) for i in items]
            chosen = [seeds[i] for i in items]
            audio = self(
                torch.stack(padded),
                schedule,
                chosen,
                sampler=sampler,
                guidance=guidance,
                precision=precision,
                griffin_lim=griffin_lim,
                frames=frames,
            )
            return [audio[i, : n * self.hop_length] for i, n in enumerate(frames)]

        return in_smaller_batches(run, len(mels))

    def resynthesize(
        self,
        waveform: Tensor,
        schedule: NoiseSchedule | str | int | None = None,
        seed: int | Sequence[int] = 0,
        *,
        sampler: Sampler | str | None = None,
        variance: Variance | None = None,
        guidance: float = 0.0,
        precision: PrecisionName = "float32",
        griffin_lim: int | None = None,
    ) -> Float[Tensor, "*batch time"]:
        """Waveform -> mel -> waveform of the same length and phase-blind content ("copy synthesis").

        Args:
            waveform: `batch time` or `time`, any length from 1 sample on, at `sample_rate`.
            schedule, seed, sampler, variance, guidance, precision, griffin_lim: as in a call.
        """
        n_samples = batch_of_waveforms(waveform).shape[1]
        mel = self.mel(F.pad(waveform, (0, -n_samples % self.hop_length)))
        return self(
            mel,
            schedule,
            seed,
            length=n_samples,
            sampler=sampler,
            variance=variance,
            guidance=guidance,
            precision=precision,
            griffin_lim=griffin_lim,
        )
