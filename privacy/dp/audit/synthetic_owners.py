"""The synthetic owners and models that the audit gate trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lexveil.privacy.dp.batches import Batch

SIDE = 256  # canaries are the weights of a square layer
_COPIES = 3
_GRADIENT_OVER_CLIP = 100.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A model whose clipping is tested.

    Attributes:
        name: Name of the probe.
        model: Returns a fresh model, the same at every call, in the precision that it is trained in.
        items: Returns inputs and targets of one item per seed, as a function of the seeds alone.
        loss: Loss as the engine takes it.
        draws: True if the model itself is random (dropout, corruption); the owner in question then gets
            separate micro-batches, so that the draws of the others are the same.
    """

    name: str
    model: Callable[[], nn.Module]
    items: Callable[[Sequence[int]], tuple[Any, Any]]
    loss: Callable[[Any, Any], Tensor]
    draws: bool = False


def default_probes() -> tuple[Probe, ...]:
    """Return a linear, a two-layer and a recurrent model over random sequences."""
    time, width = 4, 3

    def items(seeds: Sequence[int]) -> tuple[Tensor, Tensor]:
        drawn = [torch.randn(time, width, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(drawn), torch.tensor([seed % 3 for seed in seeds])

    loss = partial(functional.cross_entropy, reduction="none")
    kinds: Mapping[str, Callable[[], nn.Module]] = {
        "linear": lambda: nn.Sequential(nn.Flatten(), nn.Linear(time * width, 3)),
        "two_layers": lambda: nn.Sequential(
            nn.Flatten(), nn.Linear(time * width, 8), nn.Tanh(), nn.Linear(8, 3)
        ),
        "recurrent": lambda: _Recurrent(width),
    }
    return tuple(Probe(name, partial(_seeded_model, build), items, loss) for name, build in kinds.items())


class _Recurrent(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, 5, batch_first=True, bidirectional=True)
        self.head = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0].mean(1))


def _seeded_model(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build()


def linear_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the loss of each item whose gradient by the outputs is minus the targets. Shape: (n,)."""
    return -(outputs * targets).sum(1)


class Canaries:
    """Owners whose gradient is one weight of a square layer: row o // side, column o % side for owner o."""

    def __init__(self, took_part: NDArray[np.bool_], max_grad_norm: float) -> None:
        self.took_part = took_part
        self.n_owners = len(took_part)
        self.item_counts: list[int] = (_COPIES * took_part).tolist()
        self._scale = _GRADIENT_OVER_CLIP * max_grad_norm

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return items whose inputs select the column and whose targets select the row."""
        index = _part(torch.arange(len(owners)).repeat_interleave(_COPIES), items)
        canaries, items_here = torch.tensor(owners)[index], torch.arange(len(index))
        inputs, targets = (torch.zeros(len(index), SIDE, dtype=torch.float64) for _ in range(2))
        inputs[items_here, canaries % SIDE] = 1.0
        targets[items_here, canaries // SIDE] = self._scale
        return Batch(inputs, targets, index, torch.full(index.shape, 1 / _COPIES))


class Roll:
    """Owners of one item without a gradient; records in which steps they were requested."""

    def __init__(self, n_owners: int, steps: int) -> None:
        self.n_owners = n_owners
        self.item_counts = [1] * n_owners
        self.drawn = np.zeros((steps, n_owners), np.int64)
        self._step = 0

    def next_step(self, done: int) -> None:
        """Record the requests that follow as those of the step after `done`."""
        self._step = done + 1

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return one zero per owner."""
        np.add.at(self.drawn[self._step], list(owners), 1)
        zeros = torch.zeros(len(owners), 1, dtype=torch.float64)
        return Batch(zeros, zeros, torch.arange(len(owners)), torch.ones(len(owners)))


class TwoLayers(nn.Module):
    """Two parallel layers over inputs of which the second half is zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.left, self.right = (nn.Linear(width, width, bias=False).double() for _ in range(2))

    def blank(self) -> NDArray[np.float64]:
        """Return the weights that no item touches. Shape: (2, half of a layer)."""
        half = self.left.in_features // 2
        layers = [layer.weight.detach()[:, half:].reshape(-1).numpy() for layer in (self.left, self.right)]
        return np.stack(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of both layers."""
        return self.left(x) + self.right(x)


@dataclass(frozen=True, slots=True)
class HalfZero:
    """Owners of one random item whose second half is zero."""

    width: int
    n_owners: int = 64
    item_counts: Sequence[int] = field(default=(1,) * 64)

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return items that are functions of their owners."""
        spread = torch.arange(self.width, dtype=torch.float64)
        inputs = torch.cos(spread * (1 + torch.tensor(owners, dtype=torch.float64)[:, None]))
        inputs[:, self.width // 2 :] = 0
        return Batch(inputs, inputs.flip(1), torch.arange(len(owners)), torch.ones(len(owners)))


@dataclass(frozen=True, slots=True)
class OneMore:
    """Three owners of one item, and a fourth with the items of `seeds`, perhaps none."""

    probe: Probe
    seeds: Sequence[int]
    n_owners: int = 4

    @property
    def item_counts(self) -> list[int]:
        """Number of items of each owner."""
        return [1, 1, 1, len(self.seeds)]

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return items whose losses are averaged within an owner."""
        counts = torch.tensor([self.item_counts[owner] for owner in owners])
        index = _part(torch.arange(len(owners)).repeat_interleave(counts), items)
        seeds = [seed for owner in owners for seed in (self.seeds if owner == 3 else (owner,))]
        inputs, targets = self.probe.items(seeds if items is None else seeds[items.start : items.stop])
        return Batch(inputs, targets, index, (1.0 / counts)[index])


def _part(values: Tensor, items: range | None) -> Tensor:
    return values if items is None else values[items.start : items.stop]
