"""The server's side of a two-layer network: linear, a polynomial, linear.

Formal guarantee:
    That of `lexveil.privacy.he.evaluate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from lexveil.privacy.he import layout
from lexveil.privacy.he.activation import Activation, HeadRefusedError
from lexveil.privacy.he.evaluate import EvaluationKeys, Evaluator, check_layer, logit_limit
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.parameters import Parameters

# Norm of features: 1, plus the rounding of float32.
NORM = 1.001


class NetworkEvaluator(Evaluator):
    """activation(features @ first + first_bias) @ second + second_bias under encryption.

    The weights are encoded once, on construction. Normalization before the activation must be folded into the
    first layer. No training data is needed: whoever trains checks the interval
    (`Activation.require_in_interval`), and the bounds here follow from the weights.

    Formal guarantee:
        That of `Evaluator`. Features have norm 1: errors, noise and what could wrap around are bounded for
        all such features, whatever their hidden values (`Bounds`).
    """

    def __init__(
        self,
        parameters: Parameters,
        first: tuple[Floats, Floats],
        activation: Activation,
        second: tuple[Floats, Floats],
    ) -> None:
        """Encode a network.

        Args:
            parameters: Parameters of the head.
            first: Weight of shape (n_features, n_hidden) and bias of shape (n_hidden,).
            activation: Polynomial of the degree of the parameters.
            second: Weight of shape (n_hidden, n_classes) and bias of shape (n_classes,).

        Raises:
            HeadRefusedError: Shapes or degree do not fit, or a logit could wrap around.
        """
        p = parameters
        if activation.degree != p.degree:
            raise HeadRefusedError(f"an activation of degree {activation.degree} does not fit {p.degree}")
        weight, bias = check_layer(*first, (p.n_features, p.n_hidden))
        last_weight, last_bias = check_layer(*second, (p.n_hidden, p.n_classes))
        bounds = Bounds(activation, weight, bias, last_weight, last_bias)
        self.logit_bound = bounds.largest_logit(NORM)
        if self.logit_bound > logit_limit(p):
            raise HeadRefusedError(
                f"logits could reach {self.logit_bound:.3g}: above {logit_limit(p):g} they wrap"
            )
        column_norm = float(np.linalg.norm(weight, axis=0).max())
        super().__init__(p, NORM, column_norm, bounds.largest_partial_sum(NORM), 1 + bounds.gain(NORM))

        self._first, self._second = layout.layers(p)
        self._activation = activation
        n = len(self._scheme.primes)
        self._factors = self._encode_diagonals(self._first, weight, 0, n)
        self._hidden_bias = layout.repeat_per_block(p, bias + activation.shift, self._first.out_offset)
        # Each degree of the polynomial costs one prime, as the first layer does.
        self._last_factors = self._encode_diagonals(
            self._second, activation.factor * last_weight, 1, n - p.degree
        )
        self._bias = layout.repeat_per_block(p, last_bias + activation.constant * last_weight.sum(axis=0))

    def _logits(self, x: Sequence[Any], keys: EvaluationKeys) -> list[Any]:
        u = self._rescale(self._product(self._first, x[0], self._factors, keys))
        u = self._add_plain(u, self._hidden_bias)
        y = self._product(self._second, self._activate(u, keys), self._last_factors, keys)
        return [self._finish(y, self._bias, keys)]

    def _activate(self, u: Any, keys: EvaluationKeys) -> Any:
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
        return self._rescale(u)


class Bounds:
    """Bounds for features x up to a norm.

    Formal guarantee:
        With hidden values h = W^T x + b and last weights v of a class,

            |h_k| <= m_k = norm |w_k| + |b_k| sum_k |v_k| h_k^2 <= Q = (norm ||W diag(sqrt|v|)|| + |sqrt|v|
            b|)^2      (spectral norm, Minkowski) sum_k |v_k h_k^n| <= min(sum_k |v_k| m_k^n, Q max(m)^(n-2))
            for n >= 2, and for n = 1 at most sqrt(Q sum|v|), by Cauchy-Schwarz; |v p'(h)| <= |c1| |v| + (2
            |c2| + 3 |c3| max(m)) (norm ||W diag(v)|| + |v b|)

        the last of which bounds how much an error of the hidden values can grow.
    """

    def __init__(
        self, activation: Activation, weight: Floats, bias: Floats, last_weight: Floats, last_bias: Floats
    ) -> None:
        self._coefficients = np.abs([*activation.coefficients, 0.0])
        self._columns, self._bias = np.linalg.norm(weight, axis=0), np.abs(bias)
        self._last, self._last_bias = np.abs(last_weight), np.abs(last_bias)
        gram = weight.T @ weight
        roots = np.sqrt(self._last)
        self._root_norms = np.array([_spectral(gram, column) for column in roots.T])
        self._root_bias = np.linalg.norm(roots * self._bias[:, None], axis=0)
        self._norms = np.array([_spectral(gram, column) for column in self._last.T])
        self._norm_bias = np.linalg.norm(self._last * self._bias[:, None], axis=0)

    def largest_logit(self, norm: float) -> float:
        """Return a bound of the absolute logits for features up to this norm."""
        return float((self._last_bias + self._sums(norm)).max())

    def largest_partial_sum(self, norm: float) -> float:
        """Return a bound of the other slots, which hold sums of some of the products of a logit."""
        return float(self._sums(norm).max())

    def gain(self, norm: float) -> float:
        """Return by how much a logit's error can exceed independent errors of the hidden values."""
        _, linear, square, cubic = self._coefficients[:4]
        largest = float((norm * self._columns + self._bias).max())
        reached = norm * self._norms + self._norm_bias
        steep = linear * np.linalg.norm(self._last, axis=0) + (2 * square + 3 * cubic * largest) * reached
        return float(steep.max())

    def _sums(self, norm: float) -> Floats:
        each = norm * self._columns + self._bias
        squares = (norm * self._root_norms + self._root_bias) ** 2
        totals = self._last.sum(axis=0)
        sums = self._coefficients[0] * totals
        for power, coefficient in enumerate(self._coefficients[1:], start=1):
            jointly = np.sqrt(squares * totals) if power == 1 else squares * each.max() ** (power - 2)
            sums = sums + coefficient * np.minimum(each**power @ self._last, jointly)
        return sums


def _spectral(gram: Floats, factors: Floats) -> float:
    """Return the spectral norm of W diag(factors), where gram = W^T W."""
    scaled = gram * np.outer(factors, factors)
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh(scaled)[-1])))
