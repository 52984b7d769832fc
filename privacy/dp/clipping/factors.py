"""TODO docstring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Factors:
    """A linear layer's gradient in factors: that of `weights[name]` is the sum over rows of delta (x) input.

    Shapes: delta (items, rows, out); each weight's inputs (items, rows, in). Rows are an item's positions
    or time steps. Each name in `biases` has the sum of delta over the rows as its gradient.
    """

    delta: Tensor
    weights: dict[str, Tensor]
    biases: tuple[str, ...]

    @property
    def items(self) -> int:
        return self.delta.shape[0]

    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return (*self.weights, *self.biases)

    def join(self, others: Sequence[Any]) -> Self:
        """With the layer's other uses: its rows side by side."""
        if not others:
            return self
        uses = (self, *others)
        weights = {name: torch.cat([use.weights[name] for use in uses], 1) for name in self.weights}
        return replace(self, delta=torch.cat([use.delta for use in uses], 1), weights=weights)


@dataclass(frozen=True, slots=True)
class TokenGradients:
    """The gradient of an embedding: row `ids` of the table has the sum of delta where that token stands.

    Shapes: ids (items, rows), delta (items, rows, dim). `tokens` is the height of the table; the row
    `padding` is a constant.
    """

    name: str
    ids: Tensor
    delta: Tensor
    tokens: int
    padding: int | None

    @property
    def items(self) -> int:
        return self.ids.shape[0]

    def parameters(self) -> tuple[str, ...]:
        """The name of the table."""
        return (self.name,)

    def join(self, others: Sequence[Any]) -> Self:
        """With the table's other uses: its rows side by side."""
        if not others:
            return self
        uses = (self, *others)
        ids, delta = torch.cat([use.ids for use in uses], 1), torch.cat([use.delta for use in uses], 1)
        return replace(self, ids=ids, delta=delta)


@dataclass(frozen=True, slots=True)
class ItemGradients:
    """Each item's gradient itself, of parameters as small as a normalisation's: (items, *parameter)."""

    values: dict[str, Tensor]

    @property
    def items(self) -> int:
        return next(iter(self.values.values())).shape[0]

    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return tuple(self.values)

    def join(self, others: Sequence[Any]) -> Self:
        """With the layer's other uses: the sums."""
        uses = (self, *others)
        values = {name: torch.stack([use.values[name] for use in uses]).sum(0) for name in self.values}
        return replace(self, values=values)


LayerGradients = Factors | TokenGradients | ItemGradients


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose each item is. `index` is sorted, by `order` where the items were not; `sizes` (owners,) counts.

    `one_each`: item i is all that owner i has.
    """

    index: Tensor
    order: Tensor | None
    sizes: Tensor
    one_each: bool

    @property
    def count(self) -> int:
        return self.sizes.numel()

    @classmethod
    def from_index(cls, index: Tensor, count: int) -> Owners:
        """Raises ValueError unless `index` has shape (items,) and integers in [0, count)."""
        if index.dim() != 1 or index.is_floating_point():
            raise ValueError(f"owner_index must be integers of shape (items,), found {tuple(index.shape)}")
        index, order, steps = index.long(), None, (1, 1)
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < count:
            raise ValueError(f"owner_index must lie in [0, {count})")
        if index.numel() > 1:
            steps = tuple(int(step) for step in torch.aminmax(index[1:] - index[:-1]))
        if steps[0] < 0:
            order = torch.argsort(index, stable=True)
            index = index[order]
        one_each = index.numel() == count and steps == (1, 1)
        sizes = torch.ones_like(index) if one_each else torch.bincount(index, minlength=count)
        return cls(index, order, sizes, one_each)

    def arrange(self, values: Tensor) -> Tensor:
        """Values of items, in the order of the owners."""
        return values if self.order is None else values[self.order]

    def sum_items(self, values: Tensor) -> Tensor:
        """Sums over the items of each owner. Shape: (items, ...), arranged -> (owners, ...)."""
        if self.one_each:
            return values
        return values.new_zeros(self.count, *values.shape[1:]).index_add_(0, self.index, values)

    def spans(self, rows: int) -> Iterator[tuple[int, slice]]:
        """Each owner who has items, and where its rows stand, `rows` of them an item."""
        start = 0
        for owner, size in enumerate(self.sizes.tolist()):
            if size:
                yield owner, slice(start, start + size * rows)
            start += size * rows
