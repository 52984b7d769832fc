"""The processes that train one model together (`torchrun`), and their collective operations."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

# The others wait while the first prepares the data, which may take hours; a death is noticed at once.
_TIMEOUT = timedelta(days=7)


def rank() -> int:
    """Return the rank of this process among those that torchrun started; 0 if it was started alone."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Return the rank of this process on its machine; 0 if it was started alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@dataclass(frozen=True, slots=True)
class Group:
    """A process group; by default this process alone.

    What the processes exchange (sums without noise, the run's key) is not encrypted: run them on one machine
    or in a network of their own.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> Group:
        """Return the group that torchrun started, once all processes have joined; else this process alone."""
        if int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return cls()
        if not dist.is_initialized():
            backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
            dist.init_process_group(backend, timeout=_TIMEOUT)
        return cls(dist.get_rank(), dist.get_world_size())

    def all_reduce(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its sum over all processes, bit for bit the same in each process."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by the first process's."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, src=0)

    def broadcast_bytes(self, message: bytes = b"") -> bytes:
        """Return the first process's `message` in every process."""
        if self.size == 1:
            return message
        length = torch.tensor([len(message)])
        dist.broadcast(length, src=0)
        received = torch.tensor(list(message.ljust(int(length))), dtype=torch.uint8)
        dist.broadcast(received, src=0)
        return bytes(received.tolist())

    def agree_on(self, message: bytes) -> bool:
        """Return True, in every process, if all processes pass the same message."""
        same = torch.tensor([int(self.broadcast_bytes(message) == message)])
        self.all_reduce([same])
        return int(same) == self.size

    def leave(self) -> None:
        """Leave the process group."""
        if self.size > 1:
            dist.destroy_process_group()


SINGLE_PROCESS = Group()
