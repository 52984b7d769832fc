"""Whole numbers from a discrete Gaussian of a large deviation: the same on every machine, and fast.

A draw is w + 64 x + 64^2 y + 64^3 z, where the parts are discrete Gaussians of deviation 128: such a sum is
one of a larger deviation (Micciancio and Walter 2017, "Gaussian Sampling over the Integers", section 3). So a
table suffices: 16 random bits find a part, and where they leave several candidates, more bits decide.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
from numpy.typing import NDArray

_PART, _RATIO = 128, 64
# Larger values have a probability below 2**-139.
LARGEST = 1750
_INDEX, _WORD = 16, 64
_BITS = _INDEX + 2 * _WORD
_INDEX_BITS, _SHORT = np.uint64(_INDEX), np.uint64(_WORD - _INDEX)
UNDECIDED = -(2.0**15)
# Draws that fit into the processor's cache.
PIECE = 1 << 13

# Deviation of the randomized rounding of a continuous Gaussian to whole numbers: exp(-2 pi^2 36) < 1e-308.
ROUNDING_DEVIATION = 6

Floats = NDArray[np.float64]
# Overwrites an array with random bits, the next ones at each call.
Fill = Callable[[NDArray[np.unsignedinteger]], None]


def variance(parts: int) -> int:
    """Return the variance of a draw of so many parts, up to seven."""
    return _PART**2 * sum(_RATIO ** (2 * part) for part in range(parts))


def find_rounded_deviation(variance: float) -> float:
    """Return the deviation of the continuous Gaussian of which a discrete one is a randomized rounding.

    Args:
        variance: Variance of the discrete Gaussian, above that of the rounding.

    Formal guarantee:
        A discrete Gaussian around a whole number is what a discrete Gaussian of deviation ROUNDING_DEVIATION
        around a number from the continuous Gaussian gives, each probability up to a factor of
        exp(1e-300) (Peikert 2010, "An Efficient and Parallel Gaussian Sampler for Lattices", theorem 3.1;
        docs/joint-training.md derives it). So it is post-processing of a Gaussian mechanism of the result.
    """
    return math.sqrt(variance - ROUNDING_DEVIATION**2)


def draw_pieces(parts: int, fill: Fill, n: int) -> Iterator[Floats]:
    """Yield `n` draws piece by piece, in memory that the next piece overwrites.

    Formal guarantee:
        Given uniform bits, a part is exact up to 2**-130 in total variation, and each further part gives each
        probability of the sum up to a factor of exp(2.2e-34): by Poisson's summation, the factor is
        (1 + t) / (1 - t) with t = 2 exp(-2 pi^2 r^2) and r^2 > 3.999, the variance of the part given the sum
        in units of the ratio. Draws are independent, and no floating-point number is ever rounded.
    """
    tables = table()
    factors = np.array([float(_RATIO**part) for part in range(parts)])
    size = min(n, PIECE)
    bits, index = np.empty(parts * size, "<u2"), np.empty(parts * size, np.int64)
    values, mask, drawn = np.empty(parts * size), np.empty(parts * size, bool), np.empty(size)
    for start in range(0, n, PIECE):
        if n - start < size:  # the last piece
            size = n - start
            bits, index = bits[: parts * size], index[: parts * size]
            values, mask, drawn = values[: parts * size], mask[: parts * size], drawn[:size]
        fill(bits)
        index[:] = bits
        tables.values.take(index, out=values, mode="wrap")
        (undecided,) = np.less(values, UNDECIDED, out=mask).nonzero()
        which = (UNDECIDED - 1 - values[undecided]).astype(np.int64)
        values[undecided] = tables.decide(which, fill)
        # Whole numbers below 2**53: exact in whatever order they are added.
        yield factors.dot(values.reshape(parts, size), out=drawn)


@dataclass(frozen=True, slots=True)
class Table:
    """The discrete Gaussian of deviation _PART by inversion of its distribution function.

    Attributes:
        bounds: A number of _BITS bits stands for the value v - LARGEST if v of these are not above it.
        leading: The leading _WORD bits of each bound.
        values: Value by the first _INDEX bits; UNDECIDED - 1 - k for the k-th of those that do not decide.
        undecided: The first bits that do not decide, ascending.
        lowest: The smallest value with these first bits.
        bound: The _WORD bits that follow them in the lowest bound among their continuations.
        many: True where there are more than two values.
    """

    bounds: tuple[int, ...] = field(repr=False)
    leading: NDArray[np.uint64] = field(repr=False)
    values: Floats = field(repr=False)
    undecided: NDArray[np.uint64] = field(repr=False)
    lowest: Floats = field(repr=False)
    bound: NDArray[np.uint64] = field(repr=False)
    many: NDArray[np.bool_] = field(repr=False)

    def decide(self, which: NDArray[np.int64], fill: Fill) -> Floats:
        """Return a value for each of some places in `undecided`, by more bits. Shape: (n,)."""
        words = np.empty(len(which), "<u8")
        fill(words)
        bound = self.bound[which]
        values = self.lowest[which] + (words >= bound)
        (several,) = self.many[which].nonzero()
        leading = (self.undecided[which[several]] << _SHORT) | (words[several] >> _INDEX_BITS)
        places = self.leading.searchsorted(leading, "right")
        values[several] = places - LARGEST
        # As far as they were looked at, the bits are those of a bound: once in 2**47 times.
        equal = words == bound
        equal[several] = self.leading[places - 1] == leading
        for place in equal.nonzero()[0]:
            last = np.empty(1, "<u8")
            fill(last)
            first = int(self.undecided[which[place]])
            number = first << 2 * _WORD | int(words[place]) << _WORD | int(last[0])
            values[place] = bisect_right(self.bounds, number) - LARGEST
        return values


@cache
def table() -> Table:
    """Return the table, which is computed once."""
    bounds = _bounds()
    step = 1 << 2 * _WORD
    floors = np.array([bound // step for bound in bounds])
    ceilings = np.array([-(-bound // step) for bound in bounds])
    places = np.arange(1 << _INDEX)
    lowest = np.searchsorted(ceilings, places, "right")
    highest = np.searchsorted(floors, places, "right")
    (undecided,) = np.nonzero(lowest < highest)
    values = (lowest - LARGEST).astype(np.float64)
    values[undecided] = UNDECIDED - 1 - np.arange(len(undecided))
    following = np.array([bound % step >> _WORD for bound in bounds], np.uint64)
    return Table(
        bounds,
        np.array([bound >> _BITS - _WORD for bound in bounds], np.uint64),
        values,
        undecided.astype(np.uint64),
        (lowest[undecided] - LARGEST).astype(np.float64),
        following[lowest[undecided]],
        highest[undecided] > lowest[undecided] + 1,
    )


def _bounds() -> tuple[int, ...]:
    """Return P(X < v) for each v from 1 - LARGEST to LARGEST, in units of 2**-_BITS, ascending."""
    with localcontext() as context:
        context.prec = 70
        weights = [Decimal(1)]
        # exp(-x^2 / (2 s^2)) from one to the next: the ratio falls by exp(-1 / s^2) each time.
        ratio, fall = (-Decimal(1) / (2 * _PART**2)).exp(), (-Decimal(1) / _PART**2).exp()
        for _ in range(LARGEST):
            weights.append(weights[-1] * ratio)
            ratio *= fall
        unit = Decimal(2**_BITS) / (2 * sum(weights) - 1)
        below, bounds = Decimal(0), list[int]()
        for value in range(-LARGEST, LARGEST):
            below += weights[abs(value)] * unit
            bounds.append(int(below.to_integral_value()))
    return tuple(bounds)
