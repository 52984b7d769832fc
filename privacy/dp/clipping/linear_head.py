"""The clipped sum of a linear layer whose loss is known in closed form, in one pass by compiled functions.

It is what `bookkeeper` and `owner_gradients` compute for such a layer, by the same rules: norms from the kept
products of the inputs, each owner's rounding charged to the norm, sums of so many terms in single precision
as the allowance for rounding permits. Only the two matrix products are torch's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from lexveil.privacy.dp.clipping import kernel
from lexveil.privacy.dp.clipping.bookkeeper import BookKeeper, ClippedSum, count_terms
from lexveil.privacy.dp.clipping.factors import InputProducts

# What the gradient of a loss is made of: this function of the outputs, less the targets.
Activation = Literal["softmax", "sigmoid"]
# Squares of larger numbers may overflow in double precision.
_LARGEST = {torch.float32: 1e8, torch.float64: 1e60}
# With fewer terms, sums in single precision are no faster than in double.
_FEWEST_TERMS = 16


def takes(layer: nn.Linear, inputs: Tensor, products: InputProducts | None) -> bool:
    """Return True if the functions compute such a layer: all of it is trained, and the products are its own.

    Shape of inputs: (items, in).
    """
    trained = [p.requires_grad for p in layer.parameters()]
    return (
        products is not None
        and all(trained)
        and products.ones == _count_biases(layer)
        and inputs.dtype == layer.weight.dtype == products.values.dtype
        and inputs.device.type == layer.weight.device.type == "cpu"
        and kernel.takes(inputs)
    )


@dataclass(frozen=True, slots=True)
class HeadBatch:
    """All items of a few owners.

    Attributes:
        inputs: Shape (items, in).
        targets: Numbers of the labels, shape (items,); for "sigmoid", shape (items, out).
        weights: Factors of the items' losses, shape (items,).
        owner_index: Owner of each item. Shape: (items,).
        n_owners: Number of owners.
        products: The products of the inputs.
    """

    inputs: Tensor
    targets: Tensor
    weights: Tensor
    owner_index: Tensor
    n_owners: int
    products: InputProducts


def clip_and_sum(
    layer: nn.Linear,
    batch: HeadBatch,
    activation: Activation,
    keeper: BookKeeper,
    max_grad_norm: float,
    parts: int = 1,
) -> tuple[float, ClippedSum] | None:
    """Return the sum of the weighted losses, and what `BookKeeper.owner_clipped_sum` does.

    Args:
        layer: The layer, which `takes` accepts.
        batch: Items in the order of their owners.
        activation: Function of the outputs of which the gradient is made.
        keeper: The keeper of the layer.
        max_grad_norm: L2 norm to clip to.
        parts: As in `BookKeeper.owner_clipped_sum`.

    Returns:
        None where an owner needs a closer look, because its numbers are large or are none, and where owners
        are out of order.

    Formal guarantee:
        That of `BookKeeper`: the bounds on the norms are those of `owner_gradients`, and whether there is a
        result does not change whose gradients are added.
    """
    inputs = batch.inputs
    (items, width), out = inputs.shape, layer.weight.shape[0]
    kind = torch.finfo(inputs.dtype)
    delta = inputs.new_empty(items, kernel.round_up(out, inputs))  # rows of whole vectors
    outputs = delta[:, :out]
    if not _count_biases(layer):
        torch.mm(inputs, layer.weight.t(), out=outputs)
    else:
        torch.addmm(layer.bias, inputs, layer.weight.t(), out=outputs)
    clipped = kernel.clip(
        delta,
        kernel.Items(
            batch.targets.to(torch.int64 if activation == "softmax" else inputs.dtype).contiguous(),
            batch.weights.to(inputs.dtype).contiguous(),
            batch.owner_index.long().contiguous(),
            batch.products.values.contiguous(),
        ),
        (batch.n_owners, out, width + out + 16),
        (keeper.clipping_limit(max_grad_norm), 1.03 * kind.eps / 2, 4 * kind.tiny, _LARGEST[inputs.dtype]),
    )
    if clipped is None:
        return None
    terms = items
    if inputs.dtype == torch.float32:
        terms = count_terms(1.01 * clipped.mass, max_grad_norm, parts)
    if terms < min(items, _FEWEST_TERMS):
        return None
    blocks = -(-items // terms)
    size = -(-items // blocks)
    sums = inputs.new_empty(blocks, out, width)
    for block in range(blocks):
        rows = slice(block * size, (block + 1) * size)
        torch.mm(outputs[rows].t(), inputs[rows], out=sums[block])
    weight = sums[0].double() if blocks == 1 else sums.sum(0, dtype=torch.float64)
    gradients = {"weight": weight}
    if _count_biases(layer):
        gradients["bias"] = clipped.bias[:out]
    finite = torch.ones(batch.n_owners, dtype=torch.bool)
    return clipped.loss, ClippedSum(gradients, clipped.norms, finite)


def _count_biases(layer: nn.Linear) -> int:
    return len(list(layer.parameters())) - 1
