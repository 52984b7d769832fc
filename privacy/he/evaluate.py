"""The server's side: a linear head on encrypted features, with public material only.

Formal guarantee: the server holds ciphertexts and galois keys, from which the features cannot be told under
the assumptions of `privacy.he.keys`. Assumption on the server: it is curious but follows the protocol.

What a caller learns of the head: the logits. HE does not hide the head from its callers: a linear head of d
features is recovered from d+1 answers. The slots between the outputs hold weight-dependent partial sums; they
are covered by uniform values in +-2^17 before the reply, so that a partial sum v differs from nothing at all
with a statistical distance of at most |v| / 2^18 a slot and answer. The noise of the reply still depends on
the weights (no flooding, hence no circuit privacy).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from privacy.he import layout
from privacy.he.frames import Frame, frame_length
from privacy.he.layout import Floats
from privacy.he.parameters import Parameters
from privacy.he.scheme import Scheme, to_bytes

COVER_BITS = 17  # the cover is uniform in +-2^17
LOGIT_LIMIT = 2.0**14  # leaves a factor of four below the wrap-around, with the cover added
MAX_FEATURE_NORM = 2.0**10


class HeadRefused(ValueError):
    """These weights cannot be served: a result could wrap around silently, or there is nothing to compute."""


class LinearEvaluator:
    """features @ weight + bias under encryption; the weights are encoded once, here.

    weight: shape (n_features, n_classes). bias: shape (n_classes,). Raises `HeadRefused`.

    feature_norm: largest Euclidean norm of a document's features for which nothing wraps around and
    `error_bound` holds; the client must keep to it, since the server cannot see it.
    logit_bound: largest absolute logit of such features (Cauchy-Schwarz).
    """

    def __init__(self, parameters: Parameters, weight: Floats, bias: Floats) -> None:
        weight, bias = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
        expected = (parameters.n_features, parameters.n_classes)
        if weight.shape != expected or bias.shape != expected[1:]:
            raise HeadRefused(f"weight {weight.shape} and bias {bias.shape} do not fit {expected}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all() and weight.any()):
            raise HeadRefused("weights must be finite and not all zero")
        self.parameters = parameters
        self._column_norm = float(np.linalg.norm(weight, axis=0).max())
        self._bias_bound = float(np.abs(bias).max())
        self.feature_norm = min((LOGIT_LIMIT - self._bias_bound) / self._column_norm, MAX_FEATURE_NORM)
        if self.feature_norm < 1:
            raise HeadRefused(f"logits of features of norm 1 could pass {LOGIT_LIMIT:g} and wrap around")
        self.logit_bound = self.feature_norm * self._column_norm + self._bias_bound

        self._scheme = scheme = Scheme(parameters)
        self._evaluator: Any = seal.Evaluator(scheme.context)
        self._bias = layout.spread(parameters, bias)
        self._covered = layout.spread(parameters, np.ones(parameters.n_classes)) == 0
        self._factors = [
            [
                scheme.encode(vector, scheme.weight_scale, scheme.input_level) if vector.any() else None
                for vector in row
            ]
            for row in layout.diagonals(parameters, weight)
        ]

    def error_bound(self, feature_norm: float) -> float:
        """Largest absolute error of a logit for features up to this norm: see `ParameterSet`."""
        return self.parameters.scheme.error_floor + self.error_slope * (1 + feature_norm)

    @property
    def error_slope(self) -> float:
        return self.parameters.scheme.error_slope * self._column_norm

    @property
    def max_keys_bytes(self) -> int:
        """No honest upload of evaluation keys is longer."""
        return _longest(self._scheme.keys_frame)

    @property
    def max_ciphertext_bytes(self) -> int:
        """No honest request ciphertext is longer."""
        return _longest(self._scheme.input_frame)

    def load_keys(self, serialised: bytes) -> Any:
        """Galois keys of a client, for `evaluate`. Raises `Malformed` unless exactly the expected ones."""
        return self._scheme.load(seal.GaloisKeys(), serialised, self._scheme.keys_frame)

    def evaluate(self, serialised: bytes, galois_keys: Any) -> bytes:
        """Ciphertext of the logits of a fresh ciphertext of these parameters; else raises `Malformed`."""
        scheme, evaluator = self._scheme, self._evaluator
        x = scheme.load(seal.Ciphertext(), serialised, scheme.input_frame)

        def rotate(operand: Any, step: int) -> Any:
            rotated = seal.Ciphertext()
            evaluator.rotate_vector(operand, step, galois_keys, rotated)
            return rotated

        def times(operand: Any, factor: Any) -> Any:
            product = seal.Ciphertext()
            evaluator.multiply_plain(operand, factor, product)
            return product

        def add(total: Any, operand: Any) -> Any:
            evaluator.add_inplace(total, operand)
            return total

        y = layout.multiply(self.parameters, x, self._factors, rotate=rotate, times=times, add=add)
        evaluator.rescale_to_next_inplace(y)
        y = layout.fold(self.parameters, y, rotate=rotate, add=add)
        bias_and_cover = self._bias + np.where(self._covered, _cover(self.parameters.slots), 0.0)
        evaluator.add_plain_inplace(
            y, scheme.encode(bias_and_cover, scheme.output_scale, scheme.output_level)
        )
        return to_bytes(y)


def _longest(frame: Frame) -> int:
    # What does not compress grows a little: zstandard adds 3 bytes to every 128 KiB, and a header.
    length = frame_length(frame)
    return length + length // 4096 + 1024


def _cover(slots: int) -> Floats:
    """Uniform values in +-2^COVER_BITS from the system's randomness, on a grid of 2^-36."""
    words = np.frombuffer(os.urandom(8 * slots), dtype=np.uint64)
    return (words >> np.uint64(11)).astype(np.float64) * 2.0 ** (COVER_BITS + 1 - 53) - 2.0**COVER_BITS
