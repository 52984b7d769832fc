"""The processes that train one model together (`torchrun`): how they share work and sums."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

# Others wait while the first prepares the data, which may take hours; one that dies is noticed at once.
_PATIENCE = timedelta(days=7)


def rank() -> int:
    """The place of this process among those that torchrun started; 0 where it was started alone."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The place of this process among those of this machine; 0 where it was started alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@dataclass(frozen=True, slots=True)
class Group:
    """`size` processes, of which this is number `rank`, counted from 0; by default one alone.

    What passes between them (sums without noise, the run's key) is not encrypted: they run on one machine
    or in a network of their own.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Group:
        """The processes that torchrun started, once all of them have come; else this one alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=_PATIENCE)
        return cls(dist.get_rank(), dist.get_world_size())

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        """Put the sum over all processes in the place of each tensor: the same bits in each process."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Put the first process's values in the place of each tensor."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def broadcast_bytes(self, message: bytes = b"") -> bytes:
        """What the first process says, in each of them."""
        if self.size == 1:
            return message
        length = torch.tensor([len(message)])
        dist.broadcast(length, src=0)
        said = torch.tensor(list(message.ljust(int(length))), dtype=torch.uint8)
        dist.broadcast(said, src=0)
        return bytes(said.tolist())

    def agree_on(self, message: bytes) -> bool:
        """Whether all processes say the same; each of them gets the same answer."""
        same = torch.tensor([int(self.broadcast_bytes(message) == message)])
        self.all_reduce([same])
        return int(same) == self.size

    def leave(self) -> None:
        """Let go of the others."""
        if self.size > 1:
            dist.destroy_process_group()


SINGLE_PROCESS = Group()
