"""Draws of `discrete_gaussian` are added to sums on a grid, by compiled functions where installed.

`draws.c` has the functions: they give the same bits as numpy does, in a third of the time.
"""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lexveil.privacy.dp import discrete_gaussian
from lexveil.privacy.dp.compiled import POINTER, SIZE, choose_instructions, open_library
from lexveil.privacy.dp.discrete_gaussian import LARGEST, PIECE, UNDECIDED, Fill, Floats, draw_pieces

SOURCE = Path(__file__).with_name("draws.c")
# Pieces that are drawn at once: their bits and their draws fit into the processor's second cache.
_PIECES = 4
_BLOCK_BITS = 4
_BORDER, _NONE, _OPEN = 1 << 6, 16, 48
# Undecided indices in 16 bits, still below all values.
_SHIFT = 20000
_kept = threading.local()


class _Tables(ctypes.Structure):
    _fields_ = [
        *((name, POINTER) for name in ("blocks", "values", "first", "bound", "leading", "lowest", "many")),
        *((name, SIZE) for name in ("bounds", "largest", "undecided")),
    ]


_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "add_draws": (SIZE, [*[SIZE] * 3, POINTER, SIZE, *[POINTER] * 6, ctypes.c_double, *[POINTER] * 3])
}


@cache
def load(instructions: str) -> ctypes.CDLL | None:
    """Return the functions for a set of instructions, which the processor must have; None: not installed."""
    return open_library(SOURCE, instructions, _FUNCTIONS)


def add_draws(sums: Sequence[Floats], spacing: float, parts: int, fill: Fill) -> None:
    """Round sums to a grid and add draws of `discrete_gaussian`, in units of its spacing, in place.

    It may read more of the stream than the draws take.

    Args:
        sums: Contiguous arrays, shape (n,) each.
        spacing: Distance between neighbors on the grid.
        parts: Number of parts of a draw.
        fill: The stream.

    Formal guarantee:
        The draws are those of `discrete_gaussian.draw_pieces`, bit for bit.
    """
    sums = [one for one in sums if len(one)]
    left = sum(len(one) for one in sums)
    library = load(choose_instructions())
    if library is None:
        add_pieces(sums, spacing, draw_pieces(parts, fill, left))
        return
    place = _Place(sums)
    tables, rooms, used = _tables(), _take_rooms(parts), ctypes.c_ssize_t()
    ahead = _Ahead(fill, rooms.bits)
    while left:
        size = min(left, _PIECES * PIECE)
        available = ahead.hold(_count_bytes(parts * size, tables.share))
        done = library.add_draws(
            *(size, PIECE, parts, ahead.address, available, ctypes.addressof(tables.structure)),
            *(rooms.draws.ctypes.data, rooms.values.ctypes.data, rooms.places.ctypes.data),
            *(place.addresses, place.sizes, spacing, ctypes.byref(place.part), ctypes.byref(place.at)),
            ctypes.byref(used),
        )
        ahead.drop(used.value)
        if done < size:  # the bits did not reach, or were those of a bound
            for piece in draw_pieces(parts, ahead.fill, min(size - done, PIECE)):
                place.add(piece, spacing)
                done += len(piece)
        left -= done
    _kept.rooms = rooms


def add_pieces(sums: Sequence[Floats], spacing: float, pieces: Iterable[Floats]) -> None:
    """Do what `add_draws` does, with given draws. Shapes: (n,) each; the draws have as many together."""
    place = _Place([one for one in sums if len(one)])
    for piece in pieces:
        place.add(piece, spacing)


class _Place:
    """A place in several arrays, none of them empty."""

    def __init__(self, arrays: Sequence[Floats]) -> None:
        self._arrays = arrays
        self.addresses = (ctypes.c_void_p * len(arrays))(*(one.ctypes.data for one in arrays))
        self.sizes = (ctypes.c_ssize_t * len(arrays))(*map(len, arrays))
        self.part, self.at = ctypes.c_ssize_t(), ctypes.c_ssize_t()

    def add(self, draws: Floats, spacing: float) -> None:
        """Round the next sums to the grid and add draws."""
        while len(draws):
            array, at = self._arrays[self.part.value], self.at.value
            some = array[at : at + len(draws)]
            some *= 1 / spacing
            np.rint(some, out=some)
            some += draws[: len(some)]
            some *= spacing
            draws = draws[len(some) :]
            ends = at + len(some) == len(array)
            self.part.value, self.at.value = self.part.value + ends, 0 if ends else at + len(some)


class _Ahead:
    """Bits of a stream that were read ahead."""

    def __init__(self, fill: Fill, room: np.ndarray) -> None:
        self._fill, self._room = fill, room
        self._start = self._end = 0

    @property
    def address(self) -> int:
        """Where the bits lie."""
        return self._room.ctypes.data + self._start

    def hold(self, n: int) -> int:
        """Have `n` bytes at hand at least; return how many there are."""
        held = self._end - self._start
        if held < n:
            self._room[:held] = self._room[self._start : self._end]
            self._fill(self._room[held:n])
            self._start, self._end = 0, n
        return self._end - self._start

    def drop(self, n: int) -> None:
        """Leave out the next `n` bytes."""
        self._start += n

    def fill(self, numbers: np.ndarray) -> None:
        """Overwrite an array with the next bytes, as `Fill` does."""
        room = numbers.view(np.uint8)
        held = min(self._end - self._start, len(room))
        room[:held] = self._room[self._start : self._start + held]
        self._start += held
        if held < len(room):
            self._fill(room[held:])


@dataclass(frozen=True, slots=True)
class _Rooms:
    """Memory for the pieces of a draw of so many parts: fresh memory costs as much as the draws."""

    parts: int
    bits: np.ndarray = field(repr=False)
    draws: Floats = field(repr=False)
    values: np.ndarray = field(repr=False)
    places: np.ndarray = field(repr=False)


def _take_rooms(parts: int) -> _Rooms:
    """Return the rooms that the last draw of this thread gave back, if they fit, or new ones."""
    rooms = _kept.__dict__.pop("rooms", None)
    if isinstance(rooms, _Rooms) and rooms.parts == parts:
        return rooms
    most = _count_bytes(parts * _PIECES * PIECE, _tables().share)
    values, places = (np.empty(parts * PIECE + 1, kind) for kind in (np.int16, np.int32))
    return _Rooms(parts, np.empty(most, np.uint8), np.empty(PIECE), values, places)


def _count_bytes(indices: int, share: float) -> int:
    """Return the bytes of so many indices, and of the words that they need but with a chance of 1e-9."""
    words = share * indices
    return 2 * indices + 8 * math.ceil(words + 6 * math.sqrt(words) + 6)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The tables in the form of `draws.c`; the arrays keep the memory. `share`: of undecided indices."""

    structure: _Tables
    arrays: tuple[np.ndarray, ...] = field(repr=False)
    share: float


@cache
def _tables() -> _Kept:
    table = discrete_gaussian.table()
    values = np.where(table.values < UNDECIDED, table.values + _SHIFT, table.values).astype(np.int16)
    found = (
        _find_blocks(values),
        values,
        table.undecided,
        table.bound,
        table.leading,
        table.lowest.astype(np.int32),
        table.many.astype(np.uint8),
    )
    sizes = len(table.leading), LARGEST, int(UNDECIDED) + _SHIFT
    arrays = tuple(np.ascontiguousarray(array) for array in found)
    pointers = (array.ctypes.data for array in arrays)
    return _Kept(_Tables(*pointers, *sizes), arrays, len(table.undecided) / len(values))


def _find_blocks(values: np.ndarray) -> np.ndarray:
    """Return what `blocks` of draws.c has for each block of indices."""
    blocks = values.reshape(-1, 1 << _BLOCK_BITS)
    found = np.full(len(blocks), _OPEN, np.int32)
    for place, block in enumerate(blocks.tolist()):
        borders = [low for low, value in enumerate(block) if value < UNDECIDED + _SHIFT]
        border = borders[0] if borders else _NONE
        first = block[0] if border else block[1] - 1
        expected = [first + (low > border) for low in range(len(block))]
        decided = [value for low, value in enumerate(block) if low != border]
        if len(borders) < 2 and decided == [v for low, v in enumerate(expected) if low != border]:
            found[place] = first * _BORDER + border
    return found
