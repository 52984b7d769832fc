"""Training data by owner: the interface of the training loop to a data set, and one held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from lexveil.privacy.dp.clipping.factors import InputProducts
from lexveil.privacy.dp.clipping.products import multiply_following_rows

# Longer owners have no kept products: they would take more memory than their inputs.
_LONGEST = 64
_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Batch:
    """All items of a few owners.

    Attributes:
        inputs: Inputs of the model, with the items on dimension 0 (or in an LSTM's batch dimension).
        targets: Targets of the loss.
        owner_index: Owner of each item, numbered from 0 in the order in which the owners were requested.
            Shape: (items,).
        weights: Factors of the items' losses: 1 / (items of the owner) makes an owner's loss a mean. Shape:
            (items,).
        products: Products of the inputs, if they are vectors and the owners are whole; None: not known.
    """

    inputs: Any
    targets: Any
    owner_index: Tensor
    weights: Tensor
    products: InputProducts | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        if self.weights.device == device:
            return self
        inputs, targets = _move(self.inputs, device), _move(self.targets, device)
        products = None if self.products is None else self.products.to(device)
        return Batch(inputs, targets, self.owner_index.to(device), self.weights.to(device), products)


def _move(value: Any, device: torch.device) -> Any:
    if isinstance(value, Mapping):
        return {name: _move(part, device) for name, part in cast("Mapping[str, Any]", value).items()}
    if hasattr(value, "to"):
        return value.to(device)
    parts = [_move(part, device) for part in value]  # a tuple, named or not
    return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)


class OwnerBatches(Protocol):
    """A data set by owner. What it draws or augments must depend only on the requested owners."""

    @property
    def n_owners(self) -> int:
        """Number of owners. It is treated as public, because it scales the step."""
        ...

    @property
    def item_counts(self) -> Sequence[int]:
        """Number of items of each owner, shape (n_owners,)."""
        ...

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return all items of `owners`; for a single owner, only those at `items` if given.

        Weights are those of the whole owner, so that the parts of an owner add up to it.

        Args:
            owners: Owners, each of which has at least one item.
            items: Positions among the items of a single owner.
        """
        ...


class TensorOwners:
    """A data set in memory. Losses are averaged within an owner.

    Attributes:
        n_owners: Number of owners.
        item_counts: Number of items of each owner.
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Tensor,
        owner_of: Tensor,
        n_owners: int,
        ones: int | None = None,
    ) -> None:
        """Create a data set.

        Args:
            inputs: Inputs with the items on dimension 0.
            targets: Targets with the items on dimension 0.
            owner_of: Owner of each item, integers in [0, n_owners). Shape: (items,).
            n_owners: Number of owners, including those without items.
            ones: Compute the products of the inputs of each owner once, for a linear model with so many
                biases (`InputProducts`); None: do not.

        Raises:
            ValueError: Lengths differ, or the integers are out of range.
        """
        items = owner_of.numel()
        if not len(inputs) == len(targets) == items:
            raise ValueError(f"{len(inputs)} inputs, {len(targets)} targets and {items} owners do not fit")
        if items and not (int(owner_of.min()) >= 0 and int(owner_of.max()) < n_owners):
            raise ValueError(f"owners must be in [0, {n_owners})")
        self.n_owners = n_owners
        self._inputs, self._targets = inputs, targets
        counts = torch.bincount(owner_of.long(), minlength=n_owners)
        self.item_counts: Sequence[int] = counts.tolist()
        # An owner's items are adjacent in `order`, from `first` on: no list of 10,000 small tensors.
        self._counts, self._first = counts, torch.cumsum(counts, 0) - counts
        self._order = torch.argsort(owner_of.long(), stable=True)
        # In the order of the owners.
        self._products = None if ones is None else multiply_following(inputs[self._order], counts, ones)

    def batch(self, owners: Sequence[int], items: range | None = None) -> Batch:
        """Return all items of `owners`, in order; for a single owner, only those at `items` if given."""
        requested = torch.tensor(owners)
        counts = self._counts[requested]
        owner_index = torch.repeat_interleave(counts)
        before = self._first[requested] - (torch.cumsum(counts, 0) - counts)
        places = before[owner_index] + torch.arange(owner_index.numel())
        rows = self._order[places]
        if items is not None:
            rows, owner_index = rows[items.start : items.stop], owner_index[items.start : items.stop]
        # Not of a part of an owner, whose rows end before the owner does.
        products = self._products.at(places) if self._products is not None and items is None else None
        return Batch(
            self._inputs[rows], self._targets[rows], owner_index, (1.0 / counts)[owner_index], products
        )


def multiply_following(inputs: Tensor, sizes: Tensor, ones: int) -> InputProducts | None:
    """Compute the products of inputs within their owners.

    Args:
        inputs: Inputs in the order of their owners, shape (items, width).
        sizes: Number of items of each owner, shape (owners,).
        ones: How many inputs of 1 to count in.

    Returns:
        The products; None if an owner has more than 64 items.
    """
    most = int(sizes.max()) if sizes.numel() else 0
    if not 1 <= most <= _LONGEST:
        return None
    reach = 1 if most == 1 else -(-most // 16) * 16
    products = inputs.new_empty(len(inputs), reach)
    for start in range(0, len(inputs), _CHUNK):
        some = multiply_following_rows(inputs[start : start + _CHUNK + reach], reach)
        products[start : start + _CHUNK] = some[:_CHUNK]
    products += ones
    products[:, 1:] *= 2
    left = sizes.cumsum(0).repeat_interleave(sizes) - torch.arange(len(inputs), device=sizes.device)
    products.masked_fill_(torch.arange(reach, device=sizes.device) >= left[:, None], 0)
    return InputProducts(products, ones)


def micro_batches(
    owners: Sequence[int], item_counts: Sequence[int], max_items: int
) -> Iterator[tuple[int, ...]]:
    """Split a draw into runs of whole owners of at most `max_items` items, in order.

    An owner with more items forms its own run, whose items are processed in several passes, because all of
    them are clipped together. An owner without items is left out, because its gradient is zero.

    Args:
        owners: Drawn owners.
        item_counts: Number of items of each owner of the data set.
        max_items: Largest number of items in a run.
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
