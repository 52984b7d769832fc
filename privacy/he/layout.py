"""Where numbers stand in the slots of a ciphertext: pure numpy, no cryptography.

Slots are cut into blocks of B, one document a block, so that one rotation serves all documents. Feature i of
a document stands at slot R-1+i of its block, where R is the number of outputs padded to a power of two
(the offset keeps every rotation by less than R inside the block). With

    y[p] = sum_{d<R} diagonal_d[p] * x[p+d],    diagonal_d[p] = W[p+d-(R-1), p mod R]  (0 outside W)

every product W[i, j] * x_i lands once in a slot p = j (mod R); folding y by rotations R, 2R, ... B/2 sums
them up in slot j. This is the hybrid diagonal product of GAZELLE (Juvekar, Vaikuntanathan & Chandrakasan
2018, section 4). Rotations by d = g*b + r are shared by baby-step giant-step (Halevi & Shoup 2018), and giant
steps go by Horner's rule, so that one key serves all baby steps and one all giant steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from privacy.he.parameters import Parameters

Floats = NDArray[np.float64]
Cipher = TypeVar("Cipher")


def rotation_steps(parameters: Parameters) -> tuple[int, ...]:
    """The left rotations that an evaluation uses, ascending: one key each."""
    steps = set(fold_steps(parameters))
    if parameters.baby_steps > 1:
        steps.add(1)
    if parameters.baby_steps < parameters.outputs:
        steps.add(parameters.baby_steps)
    return tuple(sorted(steps))


def fold_steps(parameters: Parameters) -> tuple[int, ...]:
    steps: list[int] = []
    step = parameters.outputs
    while step < parameters.block_size:
        steps.append(step)
        step *= 2
    return tuple(steps)


def pack(parameters: Parameters, features: Floats) -> Floats:
    """Documents into slots. Shape: (n, n_features) -> (ciphertexts, slots). Unused slots are zero."""
    if features.ndim != 2 or features.shape[1] != parameters.n_features:
        raise ValueError(
            f"features must have shape (n, {parameters.n_features}), these have {features.shape}"
        )
    per_ciphertext = parameters.documents_per_ciphertext
    count = -(-len(features) // per_ciphertext)
    blocks = np.zeros((count * per_ciphertext, parameters.block_size))
    offset = parameters.outputs - 1
    blocks[: len(features), offset : offset + parameters.n_features] = features
    return blocks.reshape(count, parameters.slots)


def unpack(parameters: Parameters, slots: Floats, n: int) -> Floats:
    """Outputs of the first n documents. Shape: (ciphertexts, slots) -> (n, n_classes)."""
    return slots.reshape(-1, parameters.block_size)[:n, : parameters.n_classes]


def spread(parameters: Parameters, values: Floats) -> Floats:
    """A value a class into the output slots of every block. Shape: (n_classes,) -> (slots,)."""
    block = np.zeros(parameters.block_size)
    block[: parameters.n_classes] = values
    return np.tile(block, parameters.documents_per_ciphertext)


def diagonals(parameters: Parameters, weight: Floats) -> list[list[Floats]]:
    """The weights as slot vectors: `[giant][baby]`, each of shape (slots,).

    weight: shape (n_features, n_classes). Giant step g is rotated left by g*b after its products, so its
    vectors are rotated right by as much beforehand.
    """
    offset, baby = parameters.outputs - 1, parameters.baby_steps
    position = np.arange(parameters.block_size)
    column = position % parameters.outputs
    rows: list[list[Floats]] = []
    for giant in range(parameters.outputs // baby):
        row: list[Floats] = []
        for step in range(baby):
            feature = position + giant * baby + step - offset
            inside = (feature >= 0) & (feature < parameters.n_features) & (column < parameters.n_classes)
            block = np.zeros(parameters.block_size)
            block[inside] = weight[feature[inside], column[inside]]
            row.append(np.roll(np.tile(block, parameters.documents_per_ciphertext), giant * baby))
        rows.append(row)
    return rows


def multiply(
    parameters: Parameters,
    x: Cipher,
    factors: Sequence[Sequence[Any]],
    *,
    rotate: Callable[[Cipher, int], Cipher],
    times: Callable[[Cipher, Any], Cipher],
    add: Callable[[Cipher, Cipher], Cipher],
) -> Cipher:
    """All diagonal products of x, summed; `fold` must follow.

    factors: as `diagonals` gives them, encoded or not; None stands for a vector of zeros (at least one is
    not None). `rotate` is to the left; `add` may change its first argument, which is always a sum.
    """
    rotated = [x]
    for _ in range(1, parameters.baby_steps):
        rotated.append(rotate(rotated[-1], 1))
    total: Cipher | None = None
    for row in reversed(factors):
        if total is not None:
            total = rotate(total, parameters.baby_steps)
        for operand, factor in zip(rotated, row, strict=True):
            if factor is not None:
                product = times(operand, factor)
                total = product if total is None else add(total, product)
    if total is None:
        raise ValueError("a head whose weights are all zero has nothing to multiply")
    return total


def fold(
    parameters: Parameters,
    y: Cipher,
    *,
    rotate: Callable[[Cipher, int], Cipher],
    add: Callable[[Cipher, Cipher], Cipher],
) -> Cipher:
    """Sums the slots p = j (mod R) of each block into its slot j < R."""
    for step in fold_steps(parameters):
        y = add(y, rotate(y, step))
    return y
