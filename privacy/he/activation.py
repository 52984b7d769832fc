"""The polynomial between two encrypted layers: squares and cubics, on an interval that is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from lexveil.privacy.he.layout import Floats

# Below this share of the largest coefficient a leading one is rounding: an odd or even function has lost it.
_NEGLIGIBLE = 1e-9


class HeadRefusedError(ValueError):
    """These weights cannot be served: a result could wrap around silently, or there is nothing to compute."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A polynomial of degree 2 or 3 and the interval of hidden values that it is meant for.

    coefficients: in ascending order of the powers. Raises `HeadRefusedError` for another degree, and for a leading
    coefficient so small that completing the square would move the interval far away.

    Under encryption only u^2 and (u - shift)(u^2 + inner) are computed, u = x + shift; the shift goes into
    the bias of the first layer, `factor` and `constant` into the second layer:

        c2 x^2 + c1 x + c0        = factor u^2 + constant
        c3 x^3 + c2 x^2 + ... c0  = factor (u - shift)(u^2 + inner) + constant
    """

    coefficients: tuple[float, ...]
    interval: tuple[float, float]

    def __post_init__(self) -> None:
        low, high = self.interval
        if len(self.coefficients) not in (3, 4) or not np.isfinite(self.coefficients).all():
            raise HeadRefusedError("an encrypted activation is a square or a cubic")
        if not low < high or self.factor == 0 or abs(self.shift) > 2 * (high - low):
            raise HeadRefusedError("the interval is empty, or the leading coefficient too small for it")

    @classmethod
    def square(cls, interval: tuple[float, float]) -> Activation:
        return cls((0.0, 0.0, 1.0), interval)

    @classmethod
    def chebyshev(
        cls, function: Callable[[Floats], Floats], degree: int, interval: tuple[float, float]
    ) -> Activation:
        """Interpolation at Chebyshev points (Trefethen 2013, chapter 4).

        Where the leading coefficient vanishes the degree falls by one: the cubic part of ReLU or GELU on a
        symmetric interval is zero.
        """
        fitted = Chebyshev.interpolate(function, degree, interval).convert(kind=Polynomial)
        coefficients = [float(value) for value in fitted.coef]
        if abs(coefficients[-1]) <= _NEGLIGIBLE * max(map(abs, coefficients)):
            coefficients.pop()
        return cls(tuple(coefficients), interval)

    @property
    def degree(self) -> int:
        return len(self.coefficients) - 1

    @property
    def factor(self) -> float:
        return self.coefficients[-1]

    @property
    def shift(self) -> float:
        return self.coefficients[-2] / self.factor / 2

    @property
    def inner(self) -> float:
        """Of a cubic; a square has none."""
        return self.coefficients[1] / self.factor - self.shift**2

    @property
    def constant(self) -> float:
        remainder = self.factor * self.shift**2 if self.degree == 2 else 0.0
        return self.coefficients[0] - remainder

    def __call__(self, hidden: Floats) -> Floats:
        return Polynomial(self.coefficients)(hidden)

    def require_in_interval(self, hidden: Floats) -> None:
        """Raises `HeadRefusedError` unless all hidden values (of the training data) lie in the interval."""
        low, high = self.interval
        outside = int(np.count_nonzero(~((hidden >= low) & (hidden <= high))))
        if outside:
            raise HeadRefusedError(
                f"{outside} of {hidden.size} hidden values of the training data leave the interval"
            )
