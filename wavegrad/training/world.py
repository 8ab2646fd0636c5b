"""The processes that train together, as torchrun starts them: one for each GPU, on one machine or several."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from jaxtyping import Num
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from wavegrad.errors import ConfigError, TrainingError

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

    def of_first(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """`say` in the first process; in the others, what is heard by nobody."""
        return say if self.is_first else _unheard

    def sum(self, x: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(x)
        return x

    def gather(self, x: Num[Tensor, " n"]) -> Num[Tensor, " all"]:
        """What every process has, end to end in the order of their ranks."""
        if self.size == 1:
            return x
        pieces = [torch.empty_like(x) for _ in range(self.size)]
        dist.all_gather(pieces, x)
        return torch.cat(pieces)

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process; waits for the device."""
        return self.sum(torch.tensor(float(flag), device=device)).item() > 0 if self.size > 1 else flag

    def check_same(self, facts: Mapping[str, str], device: torch.device) -> None:
        """What must be the same in all processes; each must ask.

        Raises:
            TrainingError: in every process, a fact of one of them is another than that of the first.
        """
        if self.size == 1:
            return
        codes = [int.from_bytes(hashlib.sha256(fact.encode()).digest()[:7]) for fact in facts.values()]
        everywhere = self.gather(torch.tensor(codes, device=device)).reshape(self.size, -1).tolist()
        for rank, theirs in enumerate(everywhere):
            others = [name for name, a, b in zip(facts, everywhere[0], theirs, strict=True) if a != b]
            if others:
                raise TrainingError(
                    f"rank {rank} of {self.size} has another {' and another '.join(others)} than rank 0; all processes "
                    "must be given the same command, and see the same folders"
                )

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


def _unheard(line: str) -> None:
    """What a process says that is not the first."""


@contextmanager
def joined_world(use_cuda: bool) -> Iterator[World]:
    """The process group that torchrun's environment variables describe (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR).

    Without them, a world of one. NCCL carries tensors between GPUs, gloo between CPUs.

    Raises:
        ConfigError: more processes on this machine than GPUs.
        TrainingError: another process has ended, so that this one cannot go on.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield World()
        return
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", "0")))
    if use_cuda:
        _take_gpu(world)
    try:
        dist.init_process_group(
            "nccl" if use_cuda else "gloo",
            timeout=LONGEST_SILENCE,
            store=_store(world),
            rank=world.rank,
            world_size=world.size,
            device_id=torch.device("cuda", world.local_rank) if use_cuda else None,
        )
        with warnings.catch_warnings():  # of a kernel of one, along which a stride says nothing
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
            yield world
    except RuntimeError as error:  # torch.distributed has DistBackendError; gloo raises bare RuntimeErrors
        if not _lost_a_peer(error):
            raise
        raise TrainingError(
            f"rank {world.rank} of {world.size}: another rank has gone ({str(error).splitlines()[0]}); "
            "the newest checkpoint is whole, and the same command goes on from it"
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _take_gpu(world: World) -> None:
    """Of its number on this machine, from here on "cuda" for this process."""
    if world.local_rank >= torch.cuda.device_count():
        raise ConfigError(
            f"process {world.local_rank} of this machine has no GPU: PyTorch sees {torch.cuda.device_count()}; lower "
            '--nproc-per-node, or set run.device = "cpu"'
        )
    torch.cuda.set_device(world.local_rank)


def _store(world: World) -> Store:
    """Where the processes of this start find each other's addresses.

    torchrun keeps one store for all its restarts, with the addresses of processes that are dead; on one machine each
    start gets a corner of its own. On several machines the number of the start may differ between them: there
    TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 makes torchrun open a new store each time.
    """
    store, _, _ = next(rendezvous("env://", world.rank, world.size, timeout=LONGEST_SILENCE))
    if os.environ.get("GROUP_WORLD_SIZE") != "1":
        return store
    return PrefixStore(f"start {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)


def _lost_a_peer(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error).lower() or "connection" in str(error).lower()
