"""The pass of an LSTM over time and its way back by compiled functions, where they are installed.

`kernel.c` is compiled when a wheel is built, once for each set of instructions (deploy/build_kernel.py); who
installs the wheel needs no compiler. Without the compiled file, or for tensors that it does not take,
`recurrence` and `products` compute the same by torch. The two differ by rounding.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lexveil.privacy.dp.clipping.recurrence import States, Weights, linear
from lexveil.privacy.dp.compiled import POINTER, SIZE, VECTOR_BYTES, choose_instructions, open_library

SOURCE = Path(__file__).with_name("kernel.c")
_ROWS = [POINTER, SIZE, SIZE]
_ARGUMENTS = {
    "forward": [*[SIZE] * 3, POINTER, POINTER, *_ROWS, POINTER, *_ROWS * 2, POINTER],
    "backward": [*[SIZE] * 4, POINTER, POINTER, *_ROWS * 4, POINTER, *_ROWS, POINTER],
    "product": [SIZE] * 3 + [POINTER, SIZE] * 3,
    "clip": [*[SIZE] * 5, *[POINTER] * 6, SIZE, *[ctypes.c_double] * 4, *[POINTER] * 4],
}
_RESULTS = {"product": ctypes.c_double, "clip": SIZE}
_TYPES = {torch.float32: "float32", torch.float64: "float64"}
# A thread is not worth it for fewer rows.
_FEWEST_ROWS = 12


@dataclass(frozen=True, slots=True)
class Steps:
    """Which steps of a padded batch a direction makes.

    Attributes:
        lengths: Number of time steps of each item, on the CPU, shape (batch,); None: all steps.
        reverse: True: from the last step to the first.
    """

    lengths: Tensor | None
    reverse: bool

    def bounds(self, time: int, batch: int) -> tuple[Tensor, Tensor]:
        """Return before which steps of the pass each item starts and ends. Shape: (batch,) each."""
        lengths = torch.full((batch,), time) if self.lengths is None else self.lengths.long()
        if self.reverse:
            return time - lengths, torch.full((batch,), time)
        return torch.zeros(batch, dtype=torch.long), lengths.contiguous()


@cache
def load(instructions: str) -> ctypes.CDLL | None:
    """Return the functions for a set of instructions; None if none are installed that this source made.

    The processor must have the instructions.
    """
    functions = {
        f"{name}_{kind}": (_RESULTS.get(name), arguments)
        for name, arguments in _ARGUMENTS.items()
        for kind in _TYPES.values()
    }
    return open_library(SOURCE, instructions, functions)


def find_instructions() -> str | None:
    """Return the set of instructions for this processor; None if no functions for it are installed."""
    chosen = choose_instructions()
    return chosen if chosen in VECTOR_BYTES and load(chosen) is not None else None


def takes(values: Tensor, *widths: int) -> bool:
    """Return True if there are functions for the numbers of such a tensor in rows of these widths."""
    if values.device.type != "cpu" or values.dtype not in _TYPES or not values.numel():
        return False
    found = find_instructions()
    return found is not None and not any(width % _lanes(values, found) for width in widths)


def forward(inputs: Tensor, weights: Weights, steps: Steps) -> States:
    """Return the states of a direction, in the order of the inputs; in the padding they are zero.

    Shape of inputs: (time, batch, in); `takes` says whether they can be computed.
    """
    time, batch, _ = inputs.shape
    size, lanes = weights.recurrent.shape[1], _lanes(inputs)
    gates = _item_by_item(linear, inputs, weights.input, weights.bias)
    history = inputs.new_empty(batch, time + 1, size)
    history[:, time if steps.reverse else 0] = 0
    history = history.transpose(0, 1)
    hidden, before = (history[:-1], history[1:]) if steps.reverse else (history[1:], history[:-1])
    cells = inputs.new_empty(batch, time, size).transpose(0, 1)
    packed = weights.recurrent.view(4, size // lanes, lanes, size).permute(1, 3, 0, 2).contiguous()
    starts, ends = steps.bounds(time, batch)
    compute = _function("forward", inputs)

    def run(first: int, last: int) -> None:
        rows = slice(first, last)
        room = inputs.new_empty(2 * (last - first) * (size + lanes))
        compute(
            *(time, last - first, size, starts[rows].data_ptr(), ends[rows].data_ptr()),
            *(*_place(gates[:, rows], steps), packed.data_ptr()),
            *(*_place(hidden[:, rows], steps), *_place(cells[:, rows], steps), room.data_ptr()),
        )

    _share(run, batch)
    return States(gates, hidden, cells, before)


def backward(
    states: States, recurrent: Tensor, d_hidden: Tensor, d_cells: Tensor | None, steps: Steps
) -> Tensor:
    """Return delta, as `recurrence.backward` does, for states from `forward`; in the padding it is zero."""
    time, batch, size = d_hidden.shape
    lanes = _lanes(d_hidden)
    vectors = 4 if size % (4 * lanes) == 0 else 1
    width = vectors * lanes
    packed = recurrent.view(4 * size, size // width, width).permute(1, 0, 2).contiguous()
    delta = d_hidden.new_empty(batch, time, 4 * size).transpose(0, 1)
    given = [_with_dense_rows(d_hidden), None if d_cells is None else _with_dense_rows(d_cells)]
    starts, ends = steps.bounds(time, batch)
    compute = _function("backward", d_hidden)

    def run(first: int, last: int) -> None:
        rows = slice(first, last)
        room = d_hidden.new_empty((last - first) * (9 * size + 2 * lanes))
        parts = [None if part is None else part[:, rows] for part in (states.gates, states.cells, *given)]
        compute(
            *(time, last - first, size, vectors, starts[rows].data_ptr(), ends[rows].data_ptr()),
            *(number for part in parts for number in _place(part, steps)),
            *(packed.data_ptr(), *_place(delta[:, rows], steps), room.data_ptr()),
        )

    _share(run, batch)
    return delta


def multiply_transposed(delta: Tensor, x: Tensor) -> tuple[Tensor, float]:
    """Return delta^T x and the square of its norm. Shapes: those of `products.multiply_transposed`."""
    (rows, out), width = delta.shape, x.shape[1]
    delta, x = _with_dense_rows(delta), _with_dense_rows(x)
    result = delta.new_empty(out, width)
    steps = (delta.data_ptr(), delta.stride(0), x.data_ptr(), x.stride(0), result.data_ptr(), width)
    return result, _function("product", delta)(rows, out, width, *steps)


@dataclass(frozen=True, slots=True)
class Items:
    """What is known of the items of a batch, in the order of their owners; all contiguous.

    Attributes:
        targets: Numbers of the labels, int64, shape (items,); or numbers in [0, 1] for labels that do not
            exclude each other, shape (items, out).
        weights: Factors of the losses, shape (items,).
        owner: Owner of each item, ascending, int64, shape (items,).
        products: `InputProducts.values`.
    """

    targets: Tensor
    weights: Tensor
    owner: Tensor
    products: Tensor


@dataclass(frozen=True, slots=True)
class Clipped:
    """What `clip` returns: see `linear_head`.

    Attributes:
        norms: Norm of each owner's gradient before clipping, float64, shape (owners,).
        bias: Sum of the clipped gradients of the outputs, float64, shape (round_up(out),).
        mass: Norm of the sum of the absolute values of these times the norms of the inputs.
        loss: Sum of the weighted losses, of which those that are not finite count as 0.
    """

    norms: Tensor
    bias: Tensor
    mass: float
    loss: float


def round_up(width: int, values: Tensor) -> int:
    """Return the width of rows that vectors fill, for numbers of the type of `values`."""
    return -(-width // _lanes(values)) * _lanes(values)


def clip(
    outputs: Tensor,
    items: Items,
    sizes: tuple[int, int, int],
    limits: tuple[float, float, float, float],
) -> Clipped | None:
    """Replace the outputs of a linear layer by the gradients of the losses, clipped by owner.

    Args:
        outputs: Rows of the width that `round_up` gives, of which the first `out` are outputs.
        items: The items.
        sizes: Number of owners, `out`, and how many terms each norm has apart from its owner's items.
        limits: Norm to clip to; the rounding charged for each term, relative and absolute; the largest norm
            of an input or of a gradient.

    Returns:
        None if a norm is larger or not a number, or if a target or an owner is out of range.
    """
    count, padded = outputs.shape
    owners, out, terms = sizes
    one_label = items.targets.dtype == torch.int64
    norms, bias = (torch.empty(n, dtype=torch.float64) for n in (owners, padded))
    found, room = (ctypes.c_double * 2)(), outputs.new_empty(padded + 2 * count)
    target = items.targets.data_ptr()
    done = _function("clip", outputs)(
        *(count, owners, out, padded, terms, outputs.data_ptr()),
        *((target, None) if one_label else (None, target)),
        *(items.weights.data_ptr(), items.owner.data_ptr()),
        *(items.products.data_ptr(), items.products.shape[1], *limits),
        *(room.data_ptr(), norms.data_ptr(), bias.data_ptr(), ctypes.addressof(found)),
    )
    return Clipped(norms, bias, found[1], found[0]) if done else None


def _item_by_item(function: Callable[..., Tensor], x: Tensor, *weights: Tensor) -> Tensor:
    """Return a function of (time, batch, n), with the numbers of an item beside each other in memory."""
    return function(x.transpose(0, 1).contiguous(), *weights).transpose(0, 1)


def _lanes(values: Tensor, instructions: str | None = None) -> int:
    return VECTOR_BYTES[instructions or choose_instructions()] // values.element_size()


def _function(name: str, values: Tensor) -> Any:
    return getattr(load(choose_instructions()), f"{name}_{_TYPES[values.dtype]}")


def _with_dense_rows(values: Tensor) -> Tensor:
    return values if values.stride(-1) == 1 else values.contiguous()


def _place(values: Tensor | None, steps: Steps) -> tuple[int | None, int, int]:
    """Return the address of the first step, and the distances to the next step and to the next item."""
    if values is None:
        return None, 0, 0
    time = values.stride(0)
    if steps.reverse:
        last = (values.shape[0] - 1) * time * values.element_size()
        return values.data_ptr() + last, -time, values.stride(1)
    return values.data_ptr(), time, values.stride(1)


def _share(run: Callable[[int, int], None], rows: int) -> None:
    """Divide rows among as many threads as torch has; what is computed does not depend on their number."""
    threads = min(torch.get_num_threads(), rows // _FEWEST_ROWS)
    if threads < 2:
        return run(0, rows)
    bounds = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, bounds[:-1], bounds[1:]))
    return None
