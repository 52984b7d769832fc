"""The layout of numbers in the slots of a ciphertext: pure numpy, no cryptography.

`block` packing divides the slots into blocks of B, one document per block, so that one rotation serves all
documents. A layer reads input i from slot s+i of the block (s: `in_offset`) and writes output j to slot o+j
(o: `out_offset`). With R the number of outputs padded to a power of two and s = R-1+o,

    y[p] = sum_{d<R} diagonal_d[p] * x[p+d],   diagonal_d[p] = W[p+d-s, (p-o) mod R]  (0 outside W, for p < o)

every product W[i, j] * x_i occurs once, in a slot p = o+j (mod R); summing y over p, p+R, p+2R, ... collects
them in slot o+j. The offset keeps every rotation by less than R inside the block. This is the hybrid diagonal
product of GAZELLE (Juvekar, Vaikuntanathan & Chandrakasan 2018, section 4). Rotations by d = g*b + r are
shared by baby-step giant-step (Halevi & Shoup 2018), and giant steps use Horner's rule, so that one key
serves all baby steps and one all giant steps. The fold quadruples its step, with one key where two doublings
would need two: 3 rotations instead of 2, for half of the keys.

`slot` packing puts feature i of thousands of documents into ciphertext i, one document in each real and each
imaginary part: weights are real numbers, which keep the parts apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lexveil.privacy.he.parameters import Parameters, next_power_of_two

Floats = NDArray[np.float64]
Slots = NDArray[Any]  # float64 or complex128
Cipher = TypeVar("Cipher")


@dataclass(frozen=True, slots=True)
class Layer:
    """One matrix product in blocks.

    Attributes:
        n_in: Number of inputs.
        n_out: Number of outputs.
        in_offset: Slot of the first input, s above.
        out_offset: Slot of the first output, o above.
        outputs: Number of outputs padded to a power of two, R above.
        baby_steps: Number of baby steps, b above.
        span: Number of slots from `out_offset` on that contain products.
    """

    n_in: int
    n_out: int
    in_offset: int
    out_offset: int
    outputs: int
    baby_steps: int
    span: int


def layers(parameters: Parameters) -> tuple[Layer, ...]:
    """Return the layers of a head, first one first; none in `slot` packing, which rotates nothing."""
    p = parameters
    if p.packing == "slot":
        return ()
    if not p.n_hidden:
        baby = 1 << ((p.outputs.bit_length() - 1) // 2)
        return (Layer(p.n_features, p.n_classes, p.outputs - 1, 0, p.outputs, baby, p.block_size),)
    hidden, between = next_power_of_two(p.n_hidden), p.outputs - 1
    baby = 1 << (hidden.bit_length() // 2)
    first_span = next_power_of_two(p.n_features + hidden - 1)
    second_span = next_power_of_two(p.n_hidden + between)
    return (
        Layer(p.n_features, p.n_hidden, hidden - 1 + between, between, hidden, baby, first_span),
        # Steps of the first layer's length where possible, which need no separate key.
        Layer(p.n_hidden, p.n_classes, between, 0, p.outputs, min(baby, p.outputs), second_span),
    )


def rotation_steps(parameters: Parameters) -> tuple[int, ...]:
    """Return the left rotations that an evaluation uses, ascending: one key each."""
    steps: set[int] = set()
    for layer in layers(parameters):
        steps.update(step for step, _ in fold_steps(layer))
        if layer.baby_steps > 1:
            steps.add(1)
        if layer.baby_steps < layer.outputs:
            steps.add(layer.baby_steps)
    return tuple(sorted(steps))


def fold_steps(layer: Layer) -> tuple[tuple[int, int], ...]:
    """Return (step, how many times it is taken and added) for each round of the fold."""
    steps: list[tuple[int, int]] = []
    step = layer.outputs
    while step < layer.span:
        times = 3 if 2 * step < layer.span else 1
        steps.append((step, times))
        step *= times + 1
    return tuple(steps)


def pack(parameters: Parameters, features: Floats) -> Slots:
    """Put documents into slots. Unused slots are zero.

    In `slot` packing n_features ciphertexts make a request, and the values are complex.

    Args:
        parameters: Parameters of the head.
        features: Shape (n, n_features).

    Returns:
        Shape (ciphertexts, slots).

    Raises:
        ValueError: The features have another shape.
    """
    if features.ndim != 2 or features.shape[1] != parameters.n_features:
        raise ValueError(
            f"features must have shape (n, {parameters.n_features}), these have {features.shape}"
        )
    per_request = parameters.documents_per_ciphertext
    count = -(-len(features) // per_request)
    if parameters.packing == "slot":
        documents = np.zeros((count * per_request, parameters.n_features))
        documents[: len(features)] = features
        real, imaginary = np.moveaxis(documents.reshape(count, 2, parameters.slots, -1), 1, 0)
        return np.swapaxes(real + 1j * imaginary, 1, 2).reshape(-1, parameters.slots)
    blocks = np.zeros((count * per_request, parameters.block_size))
    offset = layers(parameters)[0].in_offset
    blocks[: len(features), offset : offset + parameters.n_features] = features
    return blocks.reshape(count, parameters.slots)


def unpack(parameters: Parameters, slots: Slots, n: int) -> Floats:
    """Return the outputs of the first n documents. Shape: (ciphertexts, slots) -> (n, n_classes)."""
    if parameters.packing == "slot":
        outputs = np.swapaxes(slots.reshape(-1, parameters.n_classes, parameters.slots), 1, 2)
        both = np.stack([np.real(outputs), np.imag(outputs)], axis=1)
        return both.reshape(-1, parameters.n_classes)[:n]
    return np.real(slots).reshape(-1, parameters.block_size)[:n, : parameters.n_classes]


def repeat_per_block(parameters: Parameters, values: Floats, offset: int = 0) -> Floats:
    """Put one value per output into every block, from slot `offset` on. Shape: (n_out,) -> (slots,)."""
    block = np.zeros(parameters.block_size)
    block[offset : offset + len(values)] = values
    return np.tile(block, parameters.documents_per_ciphertext)


def output_mask(parameters: Parameters) -> Slots:
    """Return the positions of the logits: 1 for a real part, 1j for an imaginary one. Shape: (slots,)."""
    if parameters.packing == "slot":
        return np.full(parameters.slots, 1 + 1j)
    return repeat_per_block(parameters, np.ones(parameters.n_classes)).astype(np.complex128)


def weight_diagonals(parameters: Parameters, layer: Layer, weight: Floats) -> list[list[Floats]]:
    """Return the weights as slot vectors: `[giant][baby]`, each of shape (slots,).

    Giant step g is rotated left by g*b after its products, so its vectors are rotated right by as much
    beforehand.

    Args:
        parameters: Parameters of the head.
        layer: The layer.
        weight: Shape (n_in, n_out).
    """
    baby = layer.baby_steps
    position = np.arange(parameters.block_size)
    column = (position - layer.out_offset) % layer.outputs
    rows: list[list[Floats]] = []
    for giant in range(layer.outputs // baby):
        row: list[Floats] = []
        for step in range(baby):
            i = position + giant * baby + step - layer.in_offset
            inside = (i >= 0) & (i < layer.n_in) & (column < layer.n_out) & (position >= layer.out_offset)
            block = np.zeros(parameters.block_size)
            block[inside] = weight[i[inside], column[inside]]
            row.append(np.roll(np.tile(block, parameters.documents_per_ciphertext), giant * baby))
        rows.append(row)
    return rows


def multiply(
    layer: Layer,
    x: Cipher,
    factors: Sequence[Sequence[Any]],
    *,
    rotate: Callable[[Cipher, int], Cipher],
    times: Callable[[Cipher, Any], Cipher],
    add: Callable[[Cipher, Cipher], Cipher],
) -> Cipher:
    """Return the sum of all diagonal products of x; `fold` must follow.

    Args:
        layer: The layer.
        x: Inputs.
        factors: Result of `weight_diagonals`, encoded or not; None is a vector of zeros.
        rotate: Rotation to the left.
        times: Product with a factor.
        add: Sum; it may change its first argument, which is always a sum.

    Raises:
        ValueError: All factors are None.
    """
    rotated = [x]
    for _ in range(1, layer.baby_steps):
        rotated.append(rotate(rotated[-1], 1))
    total: Cipher | None = None
    for row in reversed(factors):
        if total is not None:
            total = rotate(total, layer.baby_steps)
        for operand, factor in zip(rotated, row, strict=True):
            if factor is not None:
                product = times(operand, factor)
                total = product if total is None else add(total, product)
    if total is None:
        raise ValueError("a head whose weights are all zero has nothing to multiply")
    return total


def fold(
    layer: Layer,
    y: Cipher,
    *,
    rotate: Callable[[Cipher, int], Cipher],
    add: Callable[[Cipher, Cipher], Cipher],
) -> Cipher:
    """Return y with the sum of the slots p, p+R, p+2R, ... of the layer's span in slot p."""
    for step, times in fold_steps(layer):
        rotated = y
        turns: list[Cipher] = []
        for _ in range(times):
            rotated = rotate(rotated, step)
            turns.append(rotated)
        for turn in turns:
            y = add(y, turn)
    return y
