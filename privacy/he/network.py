"""The server's side of a two-layer network: linear, a polynomial, linear.

Guarantees: `privacy.he.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from privacy.he import layout
from privacy.he.activation import Activation, HeadRefused
from privacy.he.evaluate import (
    MAX_FEATURE_NORM,
    EvaluationKeys,
    Evaluator,
    checked_layer,
    logit_limit,
)
from privacy.he.layout import Floats
from privacy.he.parameters import Parameters


class NetworkEvaluator(Evaluator):
    """activation(features @ first + first_bias) @ second + second_bias under encryption, encoded once, here.

    first: shape (n_features, n_hidden). second: shape (n_hidden, n_classes). Normalisation before the
    activation is to be folded into the first layer. No training data is asked for: whoever trains checks the
    interval (`Activation.refuse_outside`), and bounds here follow from the weights. Raises `HeadRefused`.

    The error that is stated holds for features up to `feature_norm` whose hidden values lie in that interval;
    nothing wraps around up to `feature_norm` wherever they lie.
    """

    def __init__(
        self,
        parameters: Parameters,
        first: tuple[Floats, Floats],
        activation: Activation,
        second: tuple[Floats, Floats],
    ) -> None:
        p = parameters
        if activation.degree != p.degree:
            raise HeadRefused(f"an activation of degree {activation.degree} does not fit {p.degree}")
        weight, bias = checked_layer(*first, (p.n_features, p.n_hidden))
        last_weight, last_bias = checked_layer(*second, (p.n_hidden, p.n_classes))
        bounds = Bounds(activation, weight, bias, last_weight, last_bias)
        norm = bounds.largest_norm(logit_limit(p))
        self.logit_bound = bounds.largest_logit(norm)
        gain = 1 + activation.steepest * float(np.linalg.norm(last_weight, axis=0).max())
        column_norm = float(np.linalg.norm(weight, axis=0).max())
        partial_sums = bounds.largest_partial_sum(1.0)
        super().__init__(p, norm, column_norm, partial_sums, gain)

        self._first, self._second = layout.layers(p)
        self._activation = activation
        n = len(self._scheme.primes)
        self._factors = self._encoded_diagonals(self._first, weight, 0, n)
        self._hidden_bias = layout.spread(p, bias + activation.shift, self._first.out_offset)
        # Each degree of the polynomial costs one prime, as the first layer does.
        self._last_factors = self._encoded_diagonals(
            self._second, activation.factor * last_weight, 1, n - p.degree
        )
        self._bias = layout.spread(p, last_bias + activation.constant * last_weight.sum(axis=0))

    def _logits(self, x: Sequence[Any], keys: EvaluationKeys) -> list[Any]:
        u = self._rescaled(self._product(self._first, x[0], self._factors, keys))
        u = self._add_plain(u, self._hidden_bias)
        y = self._product(self._second, self._activated(u, keys), self._last_factors, keys)
        return [self._finished(y, self._bias, keys)]

    def _activated(self, u: Any, keys: EvaluationKeys) -> Any:
        evaluator, slots = self._seal, self.parameters.slots
        squared = seal.Ciphertext()
        evaluator.square(u, squared)
        evaluator.relinearize_inplace(squared, keys.relin)
        evaluator.rescale_to_next_inplace(squared)
        if self._activation.degree == 2:
            return squared
        self._add_plain(squared, np.full(slots, self._activation.inner))
        self._add_plain(u, np.full(slots, -self._activation.shift))
        evaluator.mod_switch_to_inplace(u, self._scheme.level(squared))
        evaluator.multiply_inplace(u, squared)
        evaluator.relinearize_inplace(u, keys.relin)
        return self._rescaled(u)


class Bounds:
    """How large a logit can get for features up to a norm.

    With h the hidden values, |h_k| <= m_k = norm |w_k| + |b_k| and |h| <= H = norm * (spectral norm) + |b|;
    a logit's part of power n is at most the smaller of sum_k |v_k| m_k^n and, by Cauchy-Schwarz and Hoelder,
    |v| H for n = 1 and max|v| H^2 max(m)^(n-2) for n > 1.
    """

    def __init__(
        self, activation: Activation, weight: Floats, bias: Floats, last_weight: Floats, last_bias: Floats
    ) -> None:
        self._coefficients = np.abs(activation.coefficients)
        self._columns, self._bias = np.linalg.norm(weight, axis=0), np.abs(bias)
        self._spectral = float(np.linalg.norm(weight, 2))
        self._last, self._last_bias = np.abs(last_weight), np.abs(last_bias)

    def largest_logit(self, norm: float) -> float:
        return float((self._last_bias + self._sums(norm)).max())

    def largest_partial_sum(self, norm: float) -> float:
        """Of anything between the outputs: a sum of some of the products that make a logit."""
        return float(self._sums(norm).max())

    def _sums(self, norm: float) -> Floats:
        each = norm * self._columns + self._bias
        all_of_them = norm * self._spectral + float(np.linalg.norm(self._bias))
        sums = self._coefficients[0] * self._last.sum(axis=0)
        for power, coefficient in enumerate(self._coefficients[1:], start=1):
            if power == 1:
                jointly = np.linalg.norm(self._last, axis=0) * all_of_them
            else:
                jointly = self._last.max(axis=0) * all_of_them**2 * each.max() ** (power - 2)
            sums = sums + coefficient * np.minimum(each**power @ self._last, jointly)
        return sums

    def largest_norm(self, limit: float) -> float:
        if self.largest_logit(1.0) > limit:
            raise HeadRefused(f"logits of features of norm 1 could pass {limit:g} and wrap around")
        low, high = 1.0, MAX_FEATURE_NORM
        if self.largest_logit(high) <= limit:
            return high
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.largest_logit(middle) <= limit else (low, middle)
        return low
