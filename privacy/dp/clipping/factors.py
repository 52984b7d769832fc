"""The tensors that a traced layer leaves behind, and the assignment of items to owners.

A backward pass through a traced layer leaves one of three records, by kind of layer: the two factors of a
linear layer's gradient, the gradients of the tokens of an embedding, or each item's gradient where it is as
small as the parameter of a normalization. `owner_gradients` turns them into norms and sums by owner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class InputProducts:
    """The inner products of each item's input with those of the same owner's items from itself on.

    Attributes:
        values: Column k belongs to the k-th item after it: doubled but for k = 0, and 0 if it is another
            owner's. So the sum over all columns of the items of an owner is the squared norm of the sum of
            their inputs. Shape: (items, reach).
        ones: How many further inputs of 1 are counted in, one for each bias.
    """

    values: Tensor
    ones: int

    def at(self, places: Tensor) -> InputProducts:
        """Return those of some items: all of the owners that have one, in order."""
        return InputProducts(self.values[places], self.ones)

    def to(self, device: torch.device) -> InputProducts:
        """Return the products on another device."""
        return InputProducts(self.values.to(device), self.ones)

    def without(self, items: Tensor) -> InputProducts:
        """Return zeros for the items of a mask, shape (items,)."""
        return InputProducts(_without(self.values, items), self.ones)


@dataclass(frozen=True, slots=True)
class Factors:
    """The gradient of a linear layer in factors.

    The gradient of `weights[name]` is the sum over rows of delta (x) input. Rows are an item's positions or
    time steps.

    Attributes:
        delta: Gradient of the layer's outputs, shape (items, rows, out).
        weights: Inputs by name of the weight, each of shape (items, rows, in).
        biases: Names of the biases; the gradient of each is the sum of delta over the rows.
        products: Products of the inputs of the only weight, which has one row per item; None: not known.
    """

    delta: Tensor
    weights: dict[str, Tensor]
    biases: tuple[str, ...]
    products: InputProducts | None = None

    @property
    def items(self) -> int:
        """Number of items."""
        return self.delta.shape[0]

    def parameters(self) -> tuple[str, ...]:
        """Return the names of all parameters."""
        return (*self.weights, *self.biases)

    def join(self, others: Sequence[Any]) -> Self:
        """Return the factors of all uses of the layer, with their rows concatenated."""
        if not others:
            return self
        uses = (self, *others)
        weights = {name: torch.cat([use.weights[name] for use in uses], 1) for name in self.weights}
        delta = torch.cat([use.delta for use in uses], 1)
        return replace(self, delta=delta, weights=weights, products=None)

    def without(self, items: Tensor) -> Self:
        """Return the factors with zeros for the items of a mask, shape (items,)."""
        weights = {name: _without(x, items) for name, x in self.weights.items()}
        products = None if self.products is None else self.products.without(items)
        return replace(self, delta=_without(self.delta, items), weights=weights, products=products)


@dataclass(frozen=True, slots=True)
class TokenGradients:
    """The gradient of an embedding: row t of the table gets the sum of delta where token t occurs.

    Attributes:
        name: Name of the table.
        ids: Token ids, shape (items, rows).
        delta: Gradient of the embedded tokens, shape (items, rows, dim).
        tokens: Number of rows of the table.
        padding: Id whose row is constant; None if there is none.
    """

    name: str
    ids: Tensor
    delta: Tensor
    tokens: int
    padding: int | None

    @property
    def items(self) -> int:
        """Number of items."""
        return self.ids.shape[0]

    def parameters(self) -> tuple[str, ...]:
        """Return the name of the table."""
        return (self.name,)

    def join(self, others: Sequence[Any]) -> Self:
        """Return the gradients of all uses of the table, with their rows concatenated."""
        if not others:
            return self
        uses = (self, *others)
        ids, delta = torch.cat([use.ids for use in uses], 1), torch.cat([use.delta for use in uses], 1)
        return replace(self, ids=ids, delta=delta)

    def without(self, items: Tensor) -> Self:
        """Return the gradients with zeros for the items of a mask, shape (items,)."""
        return replace(self, delta=_without(self.delta, items))


@dataclass(frozen=True, slots=True)
class ItemGradients:
    """The gradient of each item, for parameters as small as those of a normalization.

    Attributes:
        values: Gradients by name of the parameter, each of shape (items, *parameter).
    """

    values: dict[str, Tensor]

    @property
    def items(self) -> int:
        """Number of items."""
        return next(iter(self.values.values())).shape[0]

    def parameters(self) -> tuple[str, ...]:
        """Return the names of all parameters."""
        return tuple(self.values)

    def join(self, others: Sequence[Any]) -> Self:
        """Return the sum over all uses of the layer."""
        uses = (self, *others)
        values = {name: torch.stack([use.values[name] for use in uses]).sum(0) for name in self.values}
        return replace(self, values=values)

    def without(self, items: Tensor) -> Self:
        """Return the gradients with zeros for the items of a mask, shape (items,)."""
        return replace(self, values={name: _without(one, items) for name, one in self.values.items()})


def _without(values: Tensor, items: Tensor) -> Tensor:
    # Not a product: 0 times infinity is not a number.
    return values.masked_fill(items.view(-1, *[1] * (values.dim() - 1)), 0)


LayerGradients = Factors | TokenGradients | ItemGradients


@dataclass(frozen=True, slots=True)
class Owners:
    """The owner of each item.

    Attributes:
        index: Owner of each item, sorted. Shape: (items,).
        order: Permutation that sorts the items by owner; None if they were sorted.
        sizes: Number of items of each owner, shape (owners,).
        one_each: True if item i is the only item of owner i.
    """

    index: Tensor
    order: Tensor | None
    sizes: Tensor
    one_each: bool

    @property
    def count(self) -> int:
        """Number of owners."""
        return self.sizes.numel()

    @classmethod
    def from_index(cls, index: Tensor, count: int) -> Owners:
        """Create the assignment.

        Args:
            index: Owner of each item, shape (items,).
            count: Number of owners.

        Raises:
            ValueError: `index` has another shape, or is not made of integers in [0, count).
        """
        if index.dim() != 1 or index.is_floating_point():
            raise ValueError(f"owner_index must be integers of shape (items,), found {tuple(index.shape)}")
        index, order, steps = index.long(), None, (1, 1)
        if index.numel() and not 0 <= int(index.min()) <= int(index.max()) < count:
            raise ValueError(f"owner_index must be in [0, {count})")
        if index.numel() > 1:
            steps = tuple(int(step) for step in torch.aminmax(index[1:] - index[:-1]))
        if steps[0] < 0:
            order = torch.argsort(index, stable=True)
            index = index[order]
        one_each = index.numel() == count and steps == (1, 1)
        sizes = torch.ones_like(index) if one_each else torch.bincount(index, minlength=count)
        return cls(index, order, sizes, one_each)

    def arrange(self, values: Tensor) -> Tensor:
        """Return values of items in the order of the owners."""
        return values if self.order is None else values[self.order]

    def sum_items(self, values: Tensor) -> Tensor:
        """Return sums over the items of each owner. Shape: (items, ...), arranged -> (owners, ...)."""
        if self.one_each:
            return values
        return values.new_zeros(self.count, *values.shape[1:]).index_add_(0, self.index, values)

    def spans(self, rows: int) -> Iterator[tuple[int, slice]]:
        """Yield each owner that has items, and the slice of its rows, with `rows` rows per item."""
        start = 0
        for owner, size in enumerate(self.sizes.tolist()):
            if size:
                yield owner, slice(start, start + size * rows)
            start += size * rows
