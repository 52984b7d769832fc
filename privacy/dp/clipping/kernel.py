"""The pass of an LSTM over time and its way back by compiled functions, where they are installed.

`kernel.c` is compiled when a wheel is built, once for each set of instructions (deploy/build_kernel.py); who
installs the wheel needs no compiler. Without the compiled file, or for tensors that it does not take,
`recurrence` and `products` compute the same by torch. The two differ by rounding.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lexveil.privacy.dp.clipping.recurrence import States, Weights, linear

SOURCE = Path(__file__).with_name("kernel.c")
# Bytes of a vector, by the name of the set of instructions.
VECTOR_BYTES = {"AVX512": 64, "AVX2": 32, "NEON": 16}
_SIZE, _POINTER = ctypes.c_ssize_t, ctypes.c_void_p
_ROWS = [_POINTER, _SIZE, _SIZE]
_ARGUMENTS = {
    "forward": [*[_SIZE] * 3, _POINTER, _POINTER, *_ROWS, _POINTER, *_ROWS * 2, _POINTER],
    "backward": [*[_SIZE] * 4, _POINTER, _POINTER, *_ROWS * 4, _POINTER, *_ROWS, _POINTER],
    "product": [_SIZE] * 3 + [_POINTER, _SIZE] * 3,
}
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
    try:
        library = ctypes.CDLL(str(SOURCE.with_name(f"kernel-{instructions}.so")))
        made_of = ctypes.c_char_p(ctypes.addressof(ctypes.c_char.in_dll(library, "lexveil_kernel_source")))
        for name, arguments in _ARGUMENTS.items():
            for kind in _TYPES.values():
                function = getattr(library, f"{name}_{kind}")
                function.argtypes = arguments
                function.restype = ctypes.c_double if name == "product" else None
    except (OSError, ValueError, AttributeError):
        return None
    return library if made_of.value == digest_source().encode() else None


def digest_source() -> str:
    """Return the digest of `kernel.c`, which the compiled files contain."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def choose_instructions() -> str:
    """Return the set of instructions for this processor, as torch chooses it."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return "NEON"
    return torch.backends.cpu.get_cpu_capability()


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
