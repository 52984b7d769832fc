"""Training data by owner: what the training loop asks of a data set, and one that lies in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """All items of a few owners.

    `inputs` is what the model takes, with the items on dimension 0 (or in an LSTM's batch dimension);
    `targets` is what the loss takes. `owner_index`, shape (items,), numbers the owners as they were asked
    for, from 0. `weights`, shape (items,), multiply the items' losses: 1 / (items of the owner) makes an
    owner's loss a mean.
    """

    inputs: Any
    targets: Any
    owner_index: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        if self.weights.device == device:
            return self
        inputs, targets = _move(self.inputs, device), _move(self.targets, device)
        return Batch(inputs, targets, self.owner_index.to(device), self.weights.to(device))


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, Mapping):
        return {name: _move(part, device) for name, part in cast("Mapping[str, Any]", value).items()}
    if hasattr(value, "to"):
        return value.to(device)
    parts = [_move(part, device) for part in value]  # a tuple, with names or without
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


class OwnerBatches(Protocol):
    """A data set by owner. What it draws or augments must depend on nothing but the owners asked for."""

    @property
    def n_owners(self) -> int:
        """How many owners there are. Taken as public: it scales the step."""
        ...

    @property
    def item_counts(self) -> Sequence[int]:
        """Items of each owner, shape (n_owners,)."""
        ...

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """All items of `owners`, every one of which has some; of a single owner, those at `items` only.

        Weights stay those of the whole: the parts of an owner add up to it.
        """
        ...


class TensorOwners:
    """A data set in memory: `inputs` and `targets` with items on dimension 0, and each item's owner.

    `owner_of`, shape (items,), holds integers in [0, n_owners). Losses are averaged within an owner.
    Raises ValueError where lengths differ or the integers do not fit.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, owner_of: Tensor, n_owners: int) -> None:
        items = owner_of.numel()
        if not len(inputs) == len(targets) == items:
            raise ValueError(f"{len(inputs)} inputs, {len(targets)} targets and {items} owners do not fit")
        if items and not (int(owner_of.min()) >= 0 and int(owner_of.max()) < n_owners):
            raise ValueError(f"owners must lie in [0, {n_owners})")
        self.n_owners = n_owners
        self._inputs, self._targets = inputs, targets
        counts = torch.bincount(owner_of.long(), minlength=n_owners)
        self.item_counts: Sequence[int] = counts.tolist()
        # An owner's items stand side by side in `order`, from `first`: no list of 10,000 small tensors.
        self._counts, self._first = counts, torch.cumsum(counts, 0) - counts
        self._order = torch.argsort(owner_of.long(), stable=True)

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """All items of `owners`, in their order; of a single owner, those at `items` only."""
        asked = torch.tensor(owners)
        counts = self._counts[asked]
        owner_index = torch.repeat_interleave(counts)
        before = self._first[asked] - (torch.cumsum(counts, 0) - counts)
        places = self._order[before[owner_index] + torch.arange(owner_index.numel())]
        if items is not None:
            places, owner_index = places[items.start : items.stop], owner_index[items.start : items.stop]
        return Batch(self._inputs[places], self._targets[places], owner_index, (1.0 / counts)[owner_index])


def micro_batches(
    owners: Sequence[int], item_counts: Sequence[int], max_items: int
) -> Iterator[tuple[int, ...]]:
    """Split a draw into runs of whole owners of at most `max_items` items, in order.

    An owner with more items is a run by itself, whose items are seen in several passes, since all of them
    are clipped together; one without items is left out, since its gradient is zero.
    """
    run: list[int] = []
    size = 0
    for owner in owners:
        count = item_counts[owner]
        if not count:
            continue
        if run and size + count > max_items:
            yield tuple(run)
            run, size = [], 0
        run.append(owner)
        size += count
    if run:
        yield tuple(run)
