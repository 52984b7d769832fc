"""Each office's share of the noise of a joint step: exact discrete Gaussian noise on a grid of 2**-bits.

Offices add up whole numbers, so the noise must be whole numbers too, and the sum of their shares must protect
as one Gaussian does. docs/joint-training.md derives the guarantee.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from lexveil.privacy.dp import sampled_gaussian
from lexveil.privacy.dp.discrete_gaussian import ROUNDING_DEVIATION, find_rounded_deviation
from lexveil.privacy.dp.randomness import SecureRandom

Integers = NDArray[np.int64]

# A step of the grid is at most this share of the clipping norm over the root of the number of weights, so
# that rounding adds as little to the sensitivity.
_FINENESS = 2.0**-16
# Allowance of the clipping for the rounding of products (`BookKeeper`).
_CLIPPING_ROUNDING = 1e-6
# A float's probability is within this of the exact one, with a wide margin: closer calls are decided exactly.
_FLOAT_ERROR = 2.0**-45
_WORD = 64
# Above it, whole numbers are no longer exact in float64.
_MOST = 2**52


@dataclass(frozen=True, slots=True)
class SharedNoise:
    """The grid and the noise of one step.

    Attributes:
        bits: The grid is 2**-bits.
        deviation: Standard deviation of each office's share on each weight, in steps of the grid.
        sensitivity: L2 norm, in steps of the grid, by which one owner can move the sum of all offices.
        honest: Number of shares that count: the offices less those that may collude.
    """

    bits: int
    deviation: int
    sensitivity: float
    honest: int

    @property
    def noise_multiplier(self) -> float:
        """The noise multiplier of the Gaussian mechanism that a step can be computed from.

        Formal guarantee:
            A step that adds `honest` independent shares to a sum of whole numbers, which one owner moves by
            an L2 norm of at most `sensitivity`, is a randomized function of the same sum with Gaussian noise
            of this multiple of `sensitivity`, but for a factor of its probabilities that is below exp(1e-290)
            for up to 1e9 weights and 1e6 steps. So whatever `accounting` says of that Gaussian mechanism,
            Poisson-sampled or not, composed or not, holds for it.
        """
        return find_rounded_deviation(self.honest * self.deviation**2) / self.sensitivity


@dataclass(frozen=True, slots=True)
class Sharing:
    """Who is counted on, and what an owner may be in.

    Attributes:
        offices: Number of offices.
        colluders: Number of offices whose noise is not counted, because they may subtract it.
        offices_per_owner: Largest number of offices in which one owner has items.

    Raises:
        ValueError: Fewer than two offices, or no office's noise would count, or an owner in no office.
    """

    offices: int
    colluders: int = 0
    offices_per_owner: int = 1

    def __post_init__(self) -> None:
        if self.offices < 2:
            raise ValueError(f"joint training needs two offices, found {self.offices}")
        if not 0 <= self.colluders < self.offices:
            raise ValueError(f"colluders must be from 0 to {self.offices - 1}, found {self.colluders}")
        if not 1 <= self.offices_per_owner <= self.offices:
            raise ValueError(
                f"offices_per_owner must be from 1 to {self.offices}, found {self.offices_per_owner}"
            )

    def sample_rate(self, sample_rate: float) -> float:
        """Return the rate at which an owner takes part in a step in any office.

        Each office draws for itself, so an owner in k of them is drawn more often: 1 - (1 - q)**k.
        """
        return -math.expm1(self.offices_per_owner * math.log1p(-sample_rate)) if sample_rate < 1 else 1.0


def plan_noise(noise_multiplier: float, max_grad_norm: float, weights: int, sharing: Sharing) -> SharedNoise:
    """Plan the grid and the shares of a step whose noise is at least that of a Gaussian.

    Args:
        noise_multiplier: Wanted standard deviation, in units of what one owner can move the sum by.
        max_grad_norm: L2 norm to which each office clips an owner's gradient.
        weights: Number of weights.
        sharing: The offices.

    Raises:
        ValueError: A number is not above 0, or the noise is too large for float64.

    Formal guarantee:
        `noise_multiplier` of the result is at least the argument. An office's sum is rounded to the grid
        weight by weight, so an owner moves it by a whole number per weight whose L2 norm is at most
        max_grad_norm * 2**bits plus the root of the number of weights: two roundings differ by at most one
        step. An owner in several offices moves each of their sums. Assumptions: those of `BookKeeper`.
    """
    sampled_gaussian.check_run(noise_multiplier, 1.0, 1)
    if not (0 < max_grad_norm < math.inf and weights >= 1):
        raise ValueError("max_grad_norm and the number of weights must be above 0")
    bits = math.ceil(math.log2(math.sqrt(weights) / (_FINENESS * max_grad_norm)))
    one = max_grad_norm * (1 + _CLIPPING_ROUNDING) * 2.0**bits + math.sqrt(weights)
    sensitivity = sharing.offices_per_owner * one * (1 + 1e-12)
    honest = sharing.offices - sharing.colluders
    wanted = math.sqrt(((noise_multiplier * sensitivity) ** 2 + ROUNDING_DEVIATION**2) / honest)
    deviation = math.ceil(wanted * (1 + 1e-12))
    if deviation > _MOST >> 8:
        raise ValueError(f"noise of {noise_multiplier:g} clipping norms is too large for joint training")
    return SharedNoise(bits, deviation, sensitivity, honest)


def discrete_gaussian(deviation: int, random: SecureRandom, label: str, step: int, size: int) -> Integers:
    """Return independent draws from the discrete Gaussian, P(x) proportional to exp(-x^2 / (2 deviation^2)).

    Args:
        deviation: Parameter, a whole number of at least 1.
        random: Source of randomness; the same (label, step) repeats the draws, on any machine.
        label: What the draws are for.
        step: Number of the step.
        size: Number of draws.

    Returns:
        Whole numbers. Shape: (size,), int64.

    Raises:
        ValueError: `deviation` is out of range.

    Formal guarantee:
        Exact, given uniform bits: a candidate is sign * (k deviation + j) with k geometric of ratio
        exp(-1/2) and j uniform below `deviation`, and is accepted with the probability that makes it a
        discrete Gaussian (Karney 2016, "Sampling Exactly from the Normal Distribution", with the discrete
        case of section 4). Each decision compares a uniform number with a probability; floats decide only
        where their error, bounded by 2**-45, cannot matter, and exact arithmetic decides the rest. No float
        is ever part of a result. Assumptions: those of `SecureRandom`.
    """
    if not 1 <= deviation <= _MOST:
        raise ValueError(f"deviation must be from 1 to 2**52, found {deviation}")
    kept: list[Integers] = []
    missing, block = size, 0
    while missing:
        found = _draw_candidates(deviation, random, f"{label}/{block}", step, 2 * missing + 32)[:missing]
        kept.append(found)
        missing, block = missing - found.size, block + 1
    return np.concatenate(kept) if kept else np.zeros(0, np.int64)


def round_to_grid(values: NDArray[np.float64], bits: int) -> Integers:
    """Return the nearest multiples of 2**-bits, as whole numbers.

    Raises:
        ValueError: A value is not finite, or too large.
    """
    scaled = np.rint(values * 2.0**bits)
    if not (np.abs(scaled) < _MOST).all():
        raise ValueError("a sum is not finite or too large for the grid")
    return scaled.astype(np.int64)


def _draw_candidates(deviation: int, random: SecureRandom, label: str, step: int, count: int) -> Integers:
    """Return the accepted ones of some candidates, in order."""
    k = _geometric(random, f"{label}/k", step, count)
    j, usable = _below(deviation, random, f"{label}/j", step, count)
    signs = random.integers(f"{label}/sign", step, count) >> np.uint64(63)
    x = j / float(deviation)
    exponent = k * (k - 1) / 2 + x * (2 * k + x) / 2

    def exact(index: int) -> Fraction:
        whole, part = int(k[index]), Fraction(int(j[index]), deviation)
        return Fraction(whole * (whole - 1), 2) + part * (2 * whole + part) / 2

    accepted = usable & _is_below_exp(exponent, exact, random, f"{label}/accept", step)
    accepted &= (k > 0) | (j > 0) | (signs == 0)  # zero has one sign
    values = k * deviation + j
    return np.where(signs == 0, values, -values)[accepted]


def _geometric(random: SecureRandom, label: str, step: int, count: int) -> Integers:
    """Draw k with probability proportional to exp(-k / 2): count how often a trial of exp(-1/2) succeeds."""
    k = np.zeros(count, np.int64)
    going = np.ones(count, bool)
    trial = 0
    while going.any():
        # All are drawn, so that which word decides on which candidate depends on nothing but their positions.
        halves = np.full(count, 0.5)
        going &= _is_below_exp(halves, lambda _: Fraction(1, 2), random, f"{label}/{trial}", step)
        k += going
        trial += 1
    return k


def _below(
    limit: int, random: SecureRandom, label: str, step: int, count: int
) -> tuple[Integers, NDArray[np.bool_]]:
    """Return uniform whole numbers below `limit`, and where they are: a few words have to be left out."""
    words = random.integers(label, step, count)
    usable = words <= np.uint64(2**_WORD // limit * limit - 1)
    return (words % np.uint64(limit)).astype(np.int64), usable


def _is_below_exp(
    exponent: NDArray[np.float64],
    exact: Callable[[int], Fraction],
    random: SecureRandom,
    label: str,
    step: int,
) -> NDArray[np.bool_]:
    """Return True with probability exp(-exponent), for each: whether a uniform number is below it."""
    words = random.integers(label, step, exponent.size)
    uniform = words.astype(np.float64) * 2.0**-_WORD
    probability = np.exp(-exponent)
    below = uniform < probability
    for index in np.flatnonzero(np.abs(uniform - probability) <= _FLOAT_ERROR):
        below[index] = _decide(int(index), int(words[index]), exact(int(index)), random, label, step)
    return below


def _decide(index: int, word: int, exponent: Fraction, random: SecureRandom, label: str, step: int) -> bool:
    """Compare a uniform number with exp(-exponent), taking more bits of both until they differ."""
    bits, more = _WORD, 0
    while True:
        with localcontext() as context:
            context.prec = bits // 3 + 30
            scaled = (-(Decimal(exponent.numerator) / exponent.denominator)).exp() * 2**bits
            allowance = scaled * Decimal(10) ** -(bits // 3 + 20) + Decimal(10) ** -10
            # The number is in [word, word + 1) / 2**bits.
            if word + 1 <= scaled - allowance:
                return True
            if word >= scaled + allowance:
                return False
        word = word << _WORD | int(random.integers(f"{label}/more/{more}", step, index + 1)[index])
        bits, more = bits + _WORD, more + 1
