"""The polynomial between two encrypted layers: squares and cubics, on an interval that is checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from lexveil.privacy.he.layout import Floats

# A leading coefficient below this share of the largest one is rounding: the function is odd or even.
_NEGLIGIBLE = 1e-9


class HeadRefusedError(ValueError):
    """These weights cannot be served: a result could wrap around silently, or there is nothing to compute."""


@dataclass(frozen=True, slots=True)
class Activation:
    """A polynomial of degree 2 or 3 and the interval of hidden values for which it is meant.

    Under encryption only u^2 and (u - shift)(u^2 + inner) are computed, u = x + shift; the shift goes into
    the bias of the first layer, `factor` and `constant` into the second layer:

        c2 x^2 + c1 x + c0        = factor u^2 + constant
        c3 x^3 + c2 x^2 + ... c0  = factor (u - shift)(u^2 + inner) + constant

    Attributes:
        coefficients: Coefficients in ascending order of the powers.
        interval: Lower and upper end.

    Raises:
        HeadRefusedError: Another degree, or a leading coefficient so small that completing the square would
            move the interval far away.
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
        """Return x^2."""
        return cls((0.0, 0.0, 1.0), interval)

    @classmethod
    def chebyshev(
        cls, function: Callable[[Floats], Floats], degree: int, interval: tuple[float, float]
    ) -> Activation:
        """Return the interpolation of a function at Chebyshev points (Trefethen 2013, chapter 4).

        If the leading coefficient vanishes, the degree is one lower: the cubic part of ReLU or GELU on a
        symmetric interval is zero.
        """
        fitted = Chebyshev.interpolate(function, degree, interval).convert(kind=Polynomial)
        coefficients = [float(value) for value in fitted.coef]
        if abs(coefficients[-1]) <= _NEGLIGIBLE * max(map(abs, coefficients)):
            coefficients.pop()
        return cls(tuple(coefficients), interval)

    @property
    def degree(self) -> int:
        """Degree of the polynomial."""
        return len(self.coefficients) - 1

    @property
    def factor(self) -> float:
        """Leading coefficient."""
        return self.coefficients[-1]

    @property
    def shift(self) -> float:
        """Shift of the argument that completes the square."""
        return self.coefficients[-2] / self.factor / 2

    @property
    def inner(self) -> float:
        """Constant that is added to the square in a cubic; a square polynomial has none."""
        return self.coefficients[1] / self.factor - self.shift**2

    @property
    def constant(self) -> float:
        """Constant term of the decomposition."""
        remainder = self.factor * self.shift**2 if self.degree == 2 else 0.0
        return self.coefficients[0] - remainder

    def __call__(self, hidden: Floats) -> Floats:
        """Evaluate the polynomial."""
        return Polynomial(self.coefficients)(hidden)

    def require_in_interval(self, hidden: Floats) -> None:
        """Check that all hidden values (of the training data) are in the interval.

        Raises:
            HeadRefusedError: A value is outside.
        """
        low, high = self.interval
        outside = int(np.count_nonzero(~((hidden >= low) & (hidden <= high))))
        if outside:
            raise HeadRefusedError(
                f"{outside} of {hidden.size} hidden values of the training data leave the interval"
            )
