"""Each owner's part of a layer's gradient: its norm, and a weighted sum over the owners.

Single-precision factors are multiplied in single precision, which is several times faster, and the rounding
error is bounded: a product of n terms, in whatever order they are added, differs from the exact one by at
most g(n) = n u / (1 - n u) times the product of the absolute values, with u = 2^-24 (Higham, "Accuracy and
Stability of Numerical Algorithms", 2nd edition, section 3.1 and (3.13); section 4.2 for sums by blocks).

- An owner's own rounding error is added to the norm (`squared_bounds`), by a rule that depends on nothing but
  the owner, whichever way the norm is computed: so it does not affect anybody else's clipping.
- Where the terms of several owners are added in single precision, one owner's presence changes how the
  others round. `mass` bounds the numbers that are rounded, and `terms` how many may be added so: sums of that
  many terms are added up in double precision.
- Whether an owner's gradient is finite is decided by a rule that depends only on the owner (`finite`): of
  owners who pass it, every product and sum is finite, also those with others' rows that a mask discards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional

from lexveil.privacy.dp.clipping import kernel
from lexveil.privacy.dp.clipping.factors import (
    Factors,
    InputProducts,
    ItemGradients,
    LayerGradients,
    Owners,
    TokenGradients,
)
from lexveil.privacy.dp.clipping.products import linear, multiply_following_rows, multiply_transposed

# Gradients may take this many times the memory of the factors they replace.
_MEMORY_RATIO = 1.4
# From this many rows per item, products are computed owner by owner.
_LONG = 16
# Owners of up to _REACH rows are processed together: _WINDOW rows against themselves and the next _REACH.
_WINDOW, _REACH = 16, 32
# oneDNN compiles a kernel for every new shape: small products of all sizes are not worth it.
_SMALL = 128
# Below this, products in single precision are no faster than in double.
_FEWEST_TERMS = 16
_BLOCK = 512
# Beyond it, products of four single-precision numbers may overflow.
_LARGEST = 1e8
# Charges up to it leave room for the products and sums of four double-precision numbers.
_LARGEST_CHARGE = 1e280


class OwnerGradients(Protocol):
    """The gradients of one layer by owner.

    Attributes:
        squared_norms: Squared norm of each owner's gradient, float64, shape (owners,).
        squared_bounds: Upper bounds of it, float64, shape (owners,): never below the squared norm of what
            `weighted_sum` adds for an owner at factor 1, nor below the exact one.
        finite: False for each owner whose gradient, or the work on it, is not finite, shape (owners,). While
            there is one, nothing else here may be used.
    """

    squared_norms: Tensor
    squared_bounds: Tensor
    finite: Tensor

    def mass(self, factors: Tensor) -> float:
        """Return the number that g(terms + 3) is multiplied by to bound the rounding error across owners.

        It is 0 if nothing is rounded across owners.
        """
        ...

    def weighted_sum(self, factors: Tensor, terms: int) -> dict[str, Tensor]:
        """Return the sum over owners of factor * gradient by parameter, in float64.

        Args:
            factors: One factor per owner, float64, shape (owners,).
            terms: How many terms of different owners may be added in single precision.
        """
        ...


def choose_owner_gradients(gradients: LayerGradients, owners: Owners) -> OwnerGradients:
    """Return the implementation that suits the shapes of one layer."""
    if isinstance(gradients, TokenGradients):
        return _Sparse(gradients, owners)
    if isinstance(gradients, ItemGradients):
        return _Small(gradients, owners)
    flat = _Flat.from_factors(gradients, owners)
    out, width = flat.delta.shape[1], flat.inputs.shape[1]
    memory = _MEMORY_RATIO * flat.delta.shape[0] * (out + width)
    return (_Formed if owners.count * out * width <= memory else _Factored)(flat, owners)


class _Small:
    """Every owner's gradient is computed, in float64."""

    def __init__(self, kept: ItemGradients, owners: Owners) -> None:
        values = {name: owners.arrange(one.double()) for name, one in kept.values.items()}
        self._grads = {name: owners.sum_items(one) for name, one in values.items()}
        squares = [grads.flatten(1).square().sum(1) for grads in self._grads.values()]
        self.squared_norms = self.squared_bounds = torch.stack(squares).sum(0)
        self.finite = self.squared_norms.isfinite()

    def mass(self, factors: Tensor) -> float:
        return 0.0

    def weighted_sum(self, factors: Tensor, terms: int) -> dict[str, Tensor]:
        return {name: torch.tensordot(factors, grads, 1) for name, grads in self._grads.items()}


class _Sparse:
    """For a table, only the rows of an owner's tokens are computed, never a table per owner."""

    def __init__(self, kept: TokenGradients, owners: Owners) -> None:
        self._name, self._shape = kept.name, (kept.tokens, kept.delta.shape[-1])
        ids, delta = owners.arrange(kept.ids).flatten(), owners.arrange(kept.delta).flatten(0, 1)
        owner = owners.index.repeat_interleave(kept.ids.shape[1])
        if kept.padding is not None:
            real = ids != kept.padding
            ids, delta, owner = ids[real], delta[real], owner[real]
        pairs, pair_of_row = torch.unique(owner * kept.tokens + ids, return_inverse=True)
        self._owner, self._ids = pairs // kept.tokens, pairs % kept.tokens
        self._rows = delta.new_zeros(pairs.numel(), delta.shape[1]).index_add_(0, pair_of_row, delta)
        squares = torch.zeros(owners.count, dtype=torch.float64, device=delta.device)
        squares.index_add_(0, self._owner, self._rows.double().square().sum(1))
        self.squared_norms = self.squared_bounds = squares
        self.finite = squares.isfinite()

    def mass(self, factors: Tensor) -> float:
        return 0.0

    def weighted_sum(self, factors: Tensor, terms: int) -> dict[str, Tensor]:
        table = torch.zeros(self._shape, dtype=torch.float64, device=self._rows.device)
        weighted = self._rows.double().mul_(factors[self._owner, None])
        return {self._name: table.index_add_(0, self._ids, weighted)}


@dataclass(frozen=True, slots=True)
class _Flat:
    """Factors in the order of the owners.

    Several weights are treated as one, with their inputs concatenated.

    Attributes:
        delta: Gradient of the outputs, shape (rows, out).
        inputs: Inputs, shape (rows, in).
        widths: Width of the inputs of each weight, by name.
        biases: Names of the biases.
        per_item: Number of rows per item.
        sizes: |delta| and |input| of each row, float64, shape (2, rows).
        charges: Most that rounding may change the square of an owner's norm, float64, shape (owners,).
        products: Those of `Factors`, in the order of the owners.
    """

    delta: Tensor
    inputs: Tensor
    widths: dict[str, int]
    biases: tuple[str, ...]
    per_item: int
    sizes: Tensor
    charges: Tensor
    products: InputProducts | None = None

    @property
    def single(self) -> bool:
        """True if products are in single precision."""
        return self.delta.dtype == torch.float32

    @classmethod
    def from_factors(cls, kept: Factors, owners: Owners) -> Self:
        delta = owners.arrange(kept.delta).flatten(0, 1)
        several = list(kept.weights.values())
        inputs = owners.arrange(torch.cat(several, -1) if len(several) > 1 else several[0]).flatten(0, 1)
        if delta.dtype not in (torch.float32, torch.float64):
            delta, inputs = delta.float(), inputs.float()
        products = kept.products
        if products is not None and (products.ones, products.values.dtype) != (len(kept.biases), delta.dtype):
            products = None  # they are those of another layer
        if products is not None and owners.order is not None:
            products = products.at(owners.order)
        sizes = _sizes(delta, inputs, len(kept.biases), products)
        # Rounding is charged as in the first precision also after the change to the second, which one owner
        # causes for all.
        kind = torch.finfo(delta.dtype)
        if delta.dtype == torch.float32 and not bool((sizes <= _LARGEST).all()):
            delta, inputs, products = delta.double(), inputs.double(), None
            sizes = _sizes(delta, inputs, len(kept.biases))
        per_item = kept.delta.shape[1]
        charges = _charges(sizes, kind, delta.shape[1] + inputs.shape[1] + 16, per_item, owners)
        widths = {name: x.shape[-1] for name, x in kept.weights.items()}
        return cls(delta, inputs, widths, kept.biases, per_item, sizes, charges, products)


def _make_naming(flat: _Flat) -> Callable[[Tensor, Tensor], dict[str, Tensor]]:
    """Return a function that names a sum (out, in) and a bias by their parameters.

    It keeps no factors alive.
    """
    widths, biases = flat.widths, flat.biases

    def name_sums(total: Tensor, bias: Tensor) -> dict[str, Tensor]:
        parts = total.split(list(widths.values()), 1)
        return dict(zip(widths, parts, strict=True)) | dict.fromkeys(biases, bias)

    return name_sums


def _sizes(delta: Tensor, inputs: Tensor, biases: int, products: InputProducts | None = None) -> Tensor:
    """Return |delta| and |input| of each row, float64, shape (2, rows).

    A bias counts as the weight of an input of 1.
    """
    if products is not None:
        of_delta = torch.linalg.vector_norm(delta, dim=1)
        return torch.stack([of_delta, products.values[:, 0].sqrt()]).double()
    sizes = torch.stack([torch.linalg.vector_norm(x, dim=1) for x in (delta, inputs)]).double()
    sizes[1].square_().add_(biases).sqrt_()
    return sizes


def _charges(sizes: Tensor, kind: torch.finfo, width: int, per_item: int, owners: Owners) -> Tensor:
    """Return the charges of `_Flat`: g(terms) times the square of the sum over the rows of |delta| |input|.

    Terms are counted for all ways at once: the inner products and the sum of a Gram matrix, the sum of a
    product and its norm. Rows without a gradient, such as padding, round nothing and do not count: the length
    of others' items must not matter.
    """
    mass, total, rows = sizes[0] * sizes[1], sizes.sum(0) + 1, owners.sizes
    if per_item > 1:
        of_items = torch.stack([mass, total, (sizes[0] > 0).double()]).view(3, -1, per_item).sum(2)
        mass, total, rows = owners.sum_items(of_items.t()).t()
    elif not owners.one_each:
        mass, total = owners.sum_items(torch.stack([mass, total], 1)).t()
    terms = 4 * rows + width
    # 3 % for the rounding of the sizes; the second term for squares too small for the type.
    return (mass.square() * (1.03 * kind.eps / 2)).addcmul_(
        terms, total.square(), value=4 * kind.tiny
    ) * terms


class _Formed:
    """Every owner's gradient is computed, and the factors are freed."""

    def __init__(self, flat: _Flat, owners: Owners) -> None:
        # One tensor each: an array of all would be filled with zeros first, and copied into.
        self._grads: dict[int, Tensor] = {}
        squares = torch.zeros(owners.count, dtype=torch.float64, device=flat.delta.device)
        for owner, rows in owners.spans(flat.per_item):
            self._grads[owner], squares[owner] = _multiply_and_square(flat.delta[rows], flat.inputs[rows])
        self._single, self._shape = flat.single, (flat.delta.shape[1], flat.inputs.shape[1])
        self._bias = _summed_rows(flat, owners)
        self._name_sums = _make_naming(flat)
        self.squared_norms = squares + len(flat.biases) * self._bias.square().sum(1)
        self.squared_bounds = self.squared_norms + flat.charges
        self.finite = flat.charges <= _LARGEST_CHARGE

    def mass(self, factors: Tensor) -> float:
        return float(factors @ self.squared_bounds.sqrt()) if self._single else 0.0

    def weighted_sum(self, factors: Tensor, terms: int) -> dict[str, Tensor]:
        """Add `terms` owners at a time in single precision, if these are many, and the rest in double."""
        weights, together = factors.tolist(), terms if self._single and terms >= _FEWEST_TERMS else 1
        total = torch.zeros(self._shape, dtype=torch.float64, device=factors.device)
        owners = list(self._grads)
        for start in range(0, len(owners), together):
            first, *others = owners[start : start + together]
            if together == 1:
                total.add_(self._grads[first].double(), alpha=weights[first])
                continue
            some = self._grads[first] * weights[first]
            for owner in others:
                some.add_(self._grads[owner], alpha=weights[owner])
            total += some
        return self._name_sums(total, factors @ self._bias)


class _Factored:
    """No gradient is kept: norms come from Gram matrices ("ghost norms"), or from one product at a time."""

    def __init__(self, flat: _Flat, owners: Owners) -> None:
        self._flat, self._owners = flat, owners
        self._by_owner = flat.single and flat.per_item >= _LONG
        self.squared_norms = _squared_norms(flat, owners)
        self.squared_bounds = self.squared_norms + flat.charges
        self.finite = flat.charges <= _LARGEST_CHARGE

    def mass(self, factors: Tensor) -> float:
        flat = self._flat
        if self._by_owner or not flat.single:
            return 0.0
        # The norm of the sum of all |delta| |input|^T, row by row: |input| is a row's norm.
        weights = self._row_weights(factors) * flat.sizes[1]
        return 1.01 * float(torch.mv(flat.delta.abs().t(), weights.float()).norm())

    def weighted_sum(self, factors: Tensor, terms: int) -> dict[str, Tensor]:
        flat, name_sums = self._flat, _make_naming(self._flat)
        if self._by_owner:
            return name_sums(self._sum_by_owner(factors), factors @ _summed_rows(flat, self._owners))
        weights = self._row_weights(factors)
        if flat.single and terms >= _FEWEST_TERMS:
            delta = flat.delta * weights.float()[:, None]
            return name_sums(_sum_of_blocks(delta, flat.inputs, terms), _column_sums(delta, terms))
        delta = flat.delta.double() * weights[:, None]
        return name_sums(delta.t() @ flat.inputs.double(), delta.sum(0))

    def _row_weights(self, factors: Tensor) -> Tensor:
        weights = factors if self._owners.one_each else factors[self._owners.index]
        return weights if self._flat.per_item == 1 else weights.repeat_interleave(self._flat.per_item)

    def _sum_by_owner(self, factors: Tensor) -> Tensor:
        """Add the gradients owner by owner: only terms of one owner are added in single precision."""
        delta, inputs = self._flat.delta, self._flat.inputs
        total = torch.zeros(delta.shape[1], inputs.shape[1], dtype=torch.float64, device=delta.device)
        weights = factors.tolist()
        for owner, rows in self._owners.spans(self._flat.per_item):
            total.add_(multiply_transposed(delta[rows], inputs[rows]), alpha=weights[owner])
        return total


def _squared_norms(flat: _Flat, owners: Owners) -> Tensor:
    rows = owners.sizes * flat.per_item
    most = int(rows.max()) if rows.numel() else 0
    if most <= 1:
        return owners.sum_items((flat.sizes[0] * flat.sizes[1]).square())
    if flat.products is not None and most <= flat.products.values.shape[1]:
        return owners.sum_items(_squares_by_products(flat.delta, flat.products.values)).clamp_(min=0)
    squares = torch.zeros_like(rows, dtype=torch.float64)
    short = rows <= _REACH
    if int(short.sum()) > 1:
        squares = _squared_norms_of_short(flat, owners)
    else:
        short = torch.zeros_like(short)
    if most > _REACH or not bool(short.any()):
        done = short.tolist()
        for owner, of_owner in owners.spans(flat.per_item):
            if not done[owner]:
                squares[owner] = _squared_norm(flat, of_owner)
    return squares.clamp(min=0)


def _squares_by_products(delta: Tensor, products: Tensor) -> Tensor:
    """Return each row's part of its owner's squared norm, float64, shape (rows,).

    Only delta is multiplied: the products of the inputs, which do not change, were kept.
    """
    return multiply_following_rows(delta, products.shape[1]).mul_(products).sum(1).double()


def _squared_norm(flat: _Flat, rows: slice) -> Tensor:
    """Return one owner's squared norm: from the product, or from the Gram matrices if they are smaller."""
    delta, inputs = flat.delta[rows], flat.inputs[rows]
    (n, out), width = delta.shape, inputs.shape[1]
    if n * (out + width) > out * width:
        return (
            _squared(multiply_transposed(delta, inputs))
            + len(flat.biases) * delta.sum(0).double().square().sum()
        )
    total = torch.zeros((), dtype=torch.float64, device=delta.device)
    for start in range(0, n, _BLOCK):
        block = slice(start, start + _BLOCK)
        product = functional.linear if n < _SMALL else linear
        gram = product(delta[block], delta[start:])
        gram.mul_(product(inputs[block], inputs[start:]).add_(len(flat.biases)))
        # What is to the right of the diagonal block is also below it.
        total += 2 * gram.sum(1).double().sum() - gram[:, :_BLOCK].sum(1).double().sum()
    return total


def _squared_norms_of_short(flat: _Flat, owners: Owners) -> Tensor:
    """Return squared norms that are correct for owners of up to _REACH rows.

    Each row is multiplied with itself and the following rows of its owner.
    """
    owner = owners.index if flat.per_item == 1 else owners.index.repeat_interleave(flat.per_item)
    blocks = max((owner.numel() - _REACH) // _WINDOW, 0)
    done = blocks * _WINDOW
    sums: list[Tensor] = []
    if blocks:
        gram = _windows(flat.delta, blocks)
        input_gram = _windows(flat.inputs, blocks)
        sums.append(_upper(gram, input_gram, owner[:done].view(blocks, -1), _paired(owner, blocks), flat))
    rest = slice(done, None)
    gram = flat.delta[rest] @ flat.delta[rest].t()
    input_gram = flat.inputs[rest] @ flat.inputs[rest].t()
    sums.append(_upper(gram[None], input_gram[None], owner[None, rest], owner[None, rest], flat))
    squares = torch.zeros(owners.count, dtype=torch.float64, device=owner.device)
    return squares.index_add_(0, owner, torch.cat(sums).double())


def _paired(values: Tensor, blocks: int) -> Tensor:
    """Return blocks of _WINDOW + _REACH rows, one starting every _WINDOW rows, as a view."""
    step = values.stride(0)
    shape = (blocks, _WINDOW + _REACH, *values.shape[1:])
    return values.as_strided(shape, (_WINDOW * step, *values.stride()), values.storage_offset())


def _windows(x: Tensor, blocks: int) -> Tensor:
    """Return the Gram matrices of blocks of _WINDOW rows with the following _REACH rows."""
    rows = x[: blocks * _WINDOW].view(blocks, _WINDOW, -1)
    return torch.bmm(rows, _paired(x, blocks).transpose(1, 2))


def _upper(gram: Tensor, input_gram: Tensor, owner: Tensor, other: Tensor, flat: _Flat) -> Tensor:
    """Return each row's sum over the rows of its owner from itself on, counting later ones twice.

    Shape: (rows,).
    """
    weights = torch.full_like(gram[0], 2.0).triu_(1)
    weights.diagonal().fill_(1.0)
    same = owner[:, :, None] == other[:, None, :]
    return gram.mul_(input_gram.add_(len(flat.biases))).mul_(weights).mul_(same).sum(2).flatten()


def _summed_rows(flat: _Flat, owners: Owners) -> Tensor:
    """Return each owner's sum of delta over its rows, float64, shape (owners, out)."""
    of_items = flat.delta.view(-1, flat.per_item, flat.delta.shape[1]).sum(1)
    return owners.sum_items(of_items.double())


def _sum_of_blocks(delta: Tensor, x: Tensor, terms: int) -> Tensor:
    """Return delta^T x with up to `terms` roundings per number in single precision, the rest in double.

    Blocks of rows are multiplied, and their products added up in groups (blocked summation).
    """
    groups: list[Tensor] = []
    blocks = _blocks(delta.shape[0], terms)
    for k, rows in enumerate(blocks):
        small = rows.stop - rows.start < _FEWEST_TERMS
        product = delta[rows].t() @ x[rows] if small else multiply_transposed(delta[rows], x[rows])
        if k % (terms - (blocks[0].stop - blocks[0].start)):
            groups[-1].add_(product)
        else:
            groups.append(product)
    return groups[0].double() if len(groups) == 1 else torch.stack(groups).sum(0, dtype=torch.float64)


def _blocks(rows: int, terms: int) -> list[slice]:
    """Split rows into powers of two, the largest first.

    The block size and the number of blocks stay within `terms`. Powers of two, because oneDNN compiles a
    kernel for every new shape, which takes as long as such a product.
    """
    size = 1 << (rows.bit_length() - 1)
    while size > 1 and size + min(-(-rows // size) + size.bit_length(), size) > terms:
        size //= 2
    blocks: list[slice] = []
    start = 0
    while start < rows:
        while size > rows - start >= _FEWEST_TERMS:
            size //= 2
        stop = min(start + size, rows)
        blocks.append(slice(start, stop))
        start = stop
    return blocks


def _column_sums(values: Tensor, terms: int) -> Tensor:
    """Return the sums over the rows, `terms` of them at a time in single precision. Float64."""
    parts = [some.sum(0) for some in values.split(max(terms, 1))]
    return torch.stack(parts).sum(0, dtype=torch.float64)


def _multiply_and_square(delta: Tensor, x: Tensor) -> tuple[Tensor, Tensor | float]:
    """Return delta^T x, and its squared norm, computed while the product is in the cache."""
    if kernel.takes(x, x.shape[1]):
        return kernel.multiply_transposed(delta, x)
    product = multiply_transposed(delta, x)
    return product, _squared(product)


def _squared(matrix: Tensor) -> Tensor:
    """Return the squared norm, in double precision from the norms of the rows."""
    return torch.linalg.vector_norm(matrix, dim=1).double().square().sum()
