"""Those who train one model together: the processes of `torchrun`, which trust each other, or offices."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

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


class Companions(Protocol):
    """Those who train one model together. Only noisy sums are added up; figures without noise may not be."""

    @property
    def rank(self) -> int:
        """Number of this process among those that share the micro-batches of a draw, from 0."""
        ...

    @property
    def size(self) -> int:
        """Number of processes that share the micro-batches of a draw."""
        ...

    def count_owners(self, n_owners: int) -> int:
        """Return the number of owners of all, given that of this process's data."""
        ...

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Give all the state at which the first one starts."""
        ...

    def recall(self, total: Mapping[str, Tensor], step: int) -> bool:
        """Replace `total` by the noisy sum of a step that was added up before; False if it was not."""
        ...

    def add_figures(self, figures: Tensor) -> None:
        """Add up figures without noise over the processes that share a draw; others keep theirs."""
        ...

    def add_up(
        self, total: Mapping[str, Tensor], add_noise: Callable[[Mapping[str, Tensor]], None] | None, step: int
    ) -> None:
        """Replace `total` by the sum over all, with the noise of the step.

        Args:
            total: What this process adds, by parameter.
            add_noise: Rounds a sum to a grid and adds the whole noise; None: training without privacy.
            step: Number of the step.
        """
        ...


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

    def count_owners(self, n_owners: int) -> int:
        """Return the number of owners: all processes have the same data."""
        return n_owners

    def recall(self, total: Mapping[str, Tensor], step: int) -> bool:
        """Return False: a checkpoint keeps what was added up."""
        del total, step
        return False

    def add_figures(self, figures: Tensor) -> None:
        """Add up figures without noise over the processes, which trust each other."""
        self.all_reduce([figures])

    def add_up(
        self, total: Mapping[str, Tensor], add_noise: Callable[[Mapping[str, Tensor]], None] | None, step: int
    ) -> None:
        """Replace `total` by the sum over all processes; each adds the same noise, from the same key."""
        del step
        self.all_reduce(total.values())
        if add_noise is not None:
            add_noise(total)

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
