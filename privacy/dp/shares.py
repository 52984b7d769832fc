"""Each owner's share of a layer's gradient: its exact norm, and a weighted sum over the owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from privacy.dp.products import transposed

# Multiply-adds that cost as much as writing one number, reading it for its norm and again for the sum.
_COST_OF_A_NUMBER = 40
_MOST_NUMBERS = 2**28
_CHUNK = 8


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

    def joined(self, others: Sequence[Any]) -> Self:
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

    def joined(self, others: Sequence[Any]) -> Self:
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

    def joined(self, others: Sequence[Any]) -> Self:
        """With the layer's other uses: the sums."""
        uses = (self, *others)
        return replace(
            self,
            values={name: torch.stack([use.values[name] for use in uses]).sum(0) for name in self.values},
        )


Kept = Factors | TokenGradients | ItemGradients


@dataclass(frozen=True, slots=True)
class Owners:
    """Whose each item is. `slot` numbers an owner's items from 0; `one_each`: item i is all owner i has."""

    index: Tensor
    slot: Tensor
    count: int
    most_items: int
    one_each: bool

    @classmethod
    def of(cls, index: Tensor, count: int) -> Owners:
        """Raises ValueError unless `index` has shape (items,) and integers in [0, count)."""
        if index.dim() != 1 or index.is_floating_point():
            raise ValueError(f"owner_index must be integers of shape (items,), found {tuple(index.shape)}")
        if index.numel() and not (int(index.min()) >= 0 and int(index.max()) < count):
            raise ValueError(f"owner_index must lie in [0, {count})")
        index = index.long()
        items = torch.bincount(index, minlength=count)
        order = torch.argsort(index, stable=True)
        first = torch.cumsum(items, 0) - items
        slot = torch.empty_like(index)
        slot[order] = torch.arange(index.numel(), device=index.device) - first[index[order]]
        most = int(items.max()) if index.numel() else 0
        one_each = index.numel() == count and bool((index[1:] > index[:-1]).all())
        return cls(index, slot, count, most, one_each)

    def side_by_side(self, values: Tensor) -> Tensor:
        """(items, rows, n) -> (owners, most_items * rows, n), zeros where an owner has fewer items."""
        if self.one_each:
            return values
        rows, width = values.shape[1:]
        padded = values.new_zeros(self.count, self.most_items, rows, width)
        padded[self.index, self.slot] = values
        return padded.view(self.count, self.most_items * rows, width)


class Share(Protocol):
    """Norms are float64, shape (owners,); `squared_bounds` are never below the true squared norms."""

    squared_norms: Tensor
    squared_bounds: Tensor

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Sum over owners of factor * gradient, for `factors` of shape (owners,). Values are float64."""
        ...


def share(kept: Kept, owners: Owners) -> Share:
    """Of the ways that there are, the cheapest; all are exact."""
    if isinstance(kept, TokenGradients):
        return _Sparse(kept, owners)
    if isinstance(kept, ItemGradients):
        return _Small(kept, owners)
    items, rows, out = kept.delta.shape
    width = sum(x.shape[-1] for x in kept.weights.values())
    together = owners.most_items * rows
    products = items * rows * out * width
    numbers = owners.count * out * width
    # Factored runs in float64, at half the speed.
    factored = 2 * (products + owners.count * together**2 * (out + width))
    if factored < products + _COST_OF_A_NUMBER * numbers or numbers > _MOST_NUMBERS:
        return _Factored(kept, owners)
    return _Formed(kept, owners)


class _Small:
    """Every owner's gradient is formed, in float64."""

    def __init__(self, kept: ItemGradients, owners: Owners) -> None:
        self._grads = {
            name: torch.zeros(owners.count, *values.shape[1:], dtype=torch.float64, device=values.device)
            .index_add_(0, owners.index, values.double())
            for name, values in kept.values.items()
        }  # fmt: skip
        squares = [grads.flatten(1).square().sum(1) for grads in self._grads.values()]
        self.squared_norms = self.squared_bounds = torch.stack(squares).sum(0)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        return {name: torch.tensordot(factors, grads, 1) for name, grads in self._grads.items()}


class _Sparse:
    """Formed, of a table, are the rows of the tokens that an owner has: never a table an owner."""

    def __init__(self, kept: TokenGradients, owners: Owners) -> None:
        self._name, self._shape = kept.name, (kept.tokens, kept.delta.shape[-1])
        ids, delta = kept.ids.flatten(), kept.delta.flatten(0, 1)
        owner = owners.index.repeat_interleave(kept.ids.shape[1])
        if kept.padding is not None:
            real = ids != kept.padding
            ids, delta, owner = ids[real], delta[real], owner[real]
        pairs, place = torch.unique(owner * kept.tokens + ids, return_inverse=True)
        self._owner, self._ids = pairs // kept.tokens, pairs % kept.tokens
        self._rows = delta.new_zeros(pairs.numel(), delta.shape[1]).index_add_(0, place, delta)
        squares = torch.zeros(owners.count, dtype=torch.float64, device=delta.device)
        if pairs.numel():
            squares.index_add_(0, self._owner, _squared(self._rows))
        self.squared_norms = self.squared_bounds = squares

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        table = torch.zeros(self._shape, dtype=torch.float64, device=self._rows.device)
        weighted = self._rows.double().mul_(factors[self._owner, None])
        return {self._name: table.index_add_(0, self._ids, weighted)}


class _Formed:
    """Every owner's gradient is formed. Norms are those of the formed numbers, however these were rounded."""

    def __init__(self, factors: Factors, owners: Owners) -> None:
        self._biases = factors.biases
        self._widths = {name: x.shape[-1] for name, x in factors.weights.items()}
        delta = factors.delta.contiguous()
        # One wide product is faster than one for each weight.
        self._grads = _products(delta, torch.cat(list(factors.weights.values()), -1), owners)
        summed = delta.sum(1)
        self._bias = summed.new_zeros(owners.count, summed.shape[1]).index_add_(0, owners.index, summed)
        self.squared_norms = len(self._biases) * _squared(self._bias) + _squared(self._grads.flatten(1))
        self.squared_bounds = self.squared_norms

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        parts = _weighted(self._grads, factors).split(list(self._widths.values()), -1)
        sums = dict(zip(self._widths, parts, strict=True))
        return sums | dict.fromkeys(self._biases, _weighted(self._bias, factors))


class _Factored:
    """No gradient is formed: norms come from the Gram matrices of the factors ("ghost norms"), in float64."""

    def __init__(self, factors: Factors, owners: Owners) -> None:
        self._biases = factors.biases
        self._delta = owners.side_by_side(factors.delta.double())
        self._inputs = {name: owners.side_by_side(x.double()) for name, x in factors.weights.items()}
        rows = self._delta.shape[1]
        size = self._delta.square().sum(-1)
        input_size = torch.full_like(size, len(self._biases))
        for x in self._inputs.values():
            input_size += x.square().sum(-1)
        if rows == 1:
            self.squared_norms = self.squared_bounds = (size * input_size)[:, 0]
            return
        gram = torch.bmm(self._delta, self._delta.transpose(1, 2))
        input_gram = torch.full_like(gram, len(self._biases))
        for x in self._inputs.values():
            input_gram.baddbmm_(x, x.transpose(1, 2))
        self.squared_norms = (gram * input_gram).sum((1, 2)).clamp(min=0)
        # Rows that cancel leave a small norm with the rounding error of large terms.
        terms = rows + self._delta.shape[-1] + sum(x.shape[-1] for x in self._inputs.values())
        largest = (size * input_size).sqrt().sum(1).square()
        self.squared_bounds = self.squared_norms + terms * torch.finfo(torch.float64).eps * largest

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        delta = (self._delta * factors[:, None, None]).flatten(0, 1)
        sums = {name: delta.t() @ x.flatten(0, 1) for name, x in self._inputs.items()}
        return sums | dict.fromkeys(self._biases, delta.sum(0))


def _products(delta: Tensor, x: Tensor, owners: Owners) -> Tensor:
    """delta^T x of each owner's rows. Shape: (owners, out, in)."""
    shape = (owners.count, delta.shape[-1], x.shape[-1])
    if owners.one_each:
        grads = delta.new_empty(shape)
        for grad, one_delta, one_x in zip(grads, delta, x, strict=True):
            grad.copy_(transposed(one_delta, one_x))
        return grads
    grads = delta.new_zeros(shape)
    # One product an owner: padding would multiply zeros where owners differ in size.
    for owner in range(owners.count):
        items = (owners.index == owner).nonzero()[:, 0]
        if items.numel():
            grads[owner] = transposed(delta[items].flatten(0, 1), x[items].flatten(0, 1))
    return grads


def _squared(rows: Tensor) -> Tensor:
    # A few at a time: converted within the cache, and vector_norm's own conversion is 5 times slower.
    return torch.cat([torch.linalg.vector_norm(some.double(), dim=1) for some in rows.split(_CHUNK)]).square()


def _weighted(grads: Tensor, factors: Tensor) -> Tensor:
    """Sum of factor * gradient in float64, a few owners at a time: all of them would double the memory."""
    flat = grads.flatten(1)
    total = torch.zeros(flat.shape[1], dtype=torch.float64, device=flat.device)
    for some, weights in zip(flat.split(_CHUNK), factors.split(_CHUNK), strict=True):
        total.addmv_(some.double().t(), weights)
    return total.view(grads.shape[1:])
