"""The processes that train together, as torchrun starts them: one for each GPU, on one machine or several."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from wavegrad.errors import TrainingError

LONGEST_SILENCE = timedelta(hours=2)
"""A rank that waits longer for another one gives up: rank 0 validates alone while the others wait."""


@dataclass(frozen=True)
class World:
    """This process and its peers. `World()` is a process that trains alone."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""
    local_rank: int = 0
    """Number of this process on its machine, and of the GPU that it takes."""

    @property
    def is_first(self) -> bool:
        """Whether this process logs, validates and saves."""
        return self.rank == 0

    def sum(self, x: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(x)
        return x

    def gather(self, x: Float[Tensor, " n"]) -> Float[Tensor, " all"]:
        """What every process has, end to end in the order of their ranks."""
        if self.size == 1:
            return x
        pieces = [torch.empty_like(x) for _ in range(self.size)]
        dist.all_gather(pieces, x)
        return torch.cat(pieces)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process; waits for the device."""
        return self.sum(torch.tensor(float(flag), device=device)).item() > 0 if self.size > 1 else flag

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined_world(use_cuda: bool) -> Iterator[World]:
    """The process group that torchrun's environment variables describe (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR).

    Without them, a world of one. NCCL carries tensors between GPUs, gloo between CPUs.

    Raises:
        TrainingError: another process has ended, so that this one cannot go on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0")))
    if use_cuda:
        torch.cuda.set_device(world.local_rank)
    dist.init_process_group("nccl" if use_cuda else "gloo", timeout=LONGEST_SILENCE)
    try:
        yield world
    except RuntimeError as error:  # torch.distributed has DistBackendError; gloo raises bare RuntimeErrors
        if not _lost_a_peer(error):
            raise
        raise TrainingError(
            f"rank {world.rank} of {world.size}: another rank has gone ({str(error).splitlines()[0]}); "
            "the newest checkpoint is whole, and the same command goes on from it"
        ) from error
    finally:
        dist.destroy_process_group()


def _lost_a_peer(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "connection" in str(error).lower()
