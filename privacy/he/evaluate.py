"""The server's side: a head on encrypted features, with public material only.

Formal guarantee:
    The server has ciphertexts and evaluation keys, from which it cannot learn the features under the
    assumptions of `lexveil.privacy.he.keys`. Assumption on the server: it is curious but follows the
    protocol.

What a caller learns about the head, besides the logits, depends on the profile.

`sealed`: slots between the outputs contain weight-dependent partial sums, and the outputs an error that
depends on the weights. Before its last rescaling the reply is added to a fresh encryption, under the caller's
public key, of the bias, and to Gaussian noise: much in every slot that is not an output, a little in the
outputs. The fresh encryption hides the second polynomial of the reply (a Ring-LWE sample whose secret the
caller does not have: without it, that polynomial is a known linear function of the weights, and noise on the
first would be useless). The noise masks the partial sums and drowns the error, both to the one divergence
that `lexveil.privacy.he.flooding` derives. Assumption: the caller makes its keys and ciphertexts as the
protocol says (one that does not can also simply query more often).

`fast`: nothing is hidden. The caller can read partial sums of the weights, and whatever else can be computed
from the reply.

With either profile HE does not hide a head from its callers: a linear head of d features is recovered from
d+1 answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from lexveil.privacy.he import flooding, layout, wire_format
from lexveil.privacy.he.activation import HeadRefusedError
from lexveil.privacy.he.layout import Floats, Layer, Slots
from lexveil.privacy.he.parameters import Parameters
from lexveil.privacy.he.scheme import Scheme, to_bytes

__all__ = ["EvaluationKeys", "Evaluator", "HeadRefusedError", "LinearEvaluator", "SlotEvaluator"]

MAX_FEATURE_NORM = 2.0**10


@dataclass(frozen=True, slots=True)
class EvaluationKeys:
    """A caller's keys, loaded.

    Attributes:
        galois: Keys for rotations.
        relin: Key for relinearization.
        encryptor: Encryptor under the caller's public key.
    """

    galois: Any = None
    relin: Any = None
    encryptor: Any = None


class Evaluator:
    """The common part of heads: bytes in and out, bounds, and sealing.

    Attributes:
        parameters: Parameters of the head.
        feature_norm: Largest Euclidean norm of a document's features for which nothing wraps around and
            `error_bound` holds; the client must respect it, since the server cannot see it.
        logit_bound: Largest absolute logit of such features.
        error_floor: The error of a logit is at most error_floor + error_slope * (1 + norm of the features),
            flooding included.
        error_slope: See `error_floor`.
        flooding_level: Standard deviation of the noise on a logit, 0 for none.
        masking_level: Standard deviation of the noise on the other slots, 0 for none.

    Formal guarantee:
        That of the module.
    """

    def __init__(
        self,
        parameters: Parameters,
        feature_norm: float,
        column_norm: float,
        partial_sums: float,
        gain: float = 1.0,
    ) -> None:
        """Create the evaluator of a head.

        Args:
            parameters: Parameters of the head.
            feature_norm: Largest norm of features.
            column_norm: Largest norm of a column of the (first) weights.
            partial_sums: Bound of the slots that are not outputs.
            gain: Growth of an error in a second layer.
        """
        bits = parameters.scheme.flooding_bits
        self.parameters = parameters
        self.feature_norm = feature_norm
        self.error_floor, self.error_slope = state_errors(parameters, column_norm, gain)
        self.flooding_level = _choose_flooding_level(parameters, column_norm, gain)
        self.masking_level = 0.0
        self._outputs = layout.output_mask(parameters)
        if bits and _count_outputs(parameters) < 2 * parameters.slots:
            self.masking_level = flooding.noise_level(partial_sums, parameters.slots, bits)
        self._scheme = Scheme(parameters)
        self._seal: Any = seal.Evaluator(self._scheme.context)

    def error_bound(self, feature_norm: float) -> float:
        """Return the largest absolute error of a logit for features up to this norm: see `ParameterSet`."""
        return self.error_floor + self.error_slope * (1 + feature_norm)

    @property
    def divergence(self) -> float:
        """KL divergence of the answer to one request of `evaluate`; 0 if nothing is promised.

        Formal guarantee:
            Each ciphertext of a reply is flooded by itself: half of 2^-flooding_bits for its outputs, and as
            much for the other slots, if there are any (`lexveil.privacy.he.flooding`). They add up.
        """
        if not self.flooding_level:
            return 0.0
        halves = self.parameters.ciphertexts_per_reply * (2 if self.masking_level else 1)
        return halves * 0.5 * 2.0**-self.parameters.scheme.flooding_bits

    @property
    def max_keys_bytes(self) -> int:
        """No valid upload of evaluation keys is longer."""
        return sum(wire_format.max_length(frame) for frame in self._scheme.key_frames.values())

    @property
    def max_ciphertext_bytes(self) -> int:
        """No valid request is longer."""
        return self.parameters.ciphertexts_per_request * wire_format.max_length(self._scheme.input_frame)

    def load_keys(self, serialized: bytes) -> EvaluationKeys:
        """Load a client's keys for `evaluate`.

        Raises:
            MalformedError: The bytes are not exactly the expected keys.
        """
        scheme = self._scheme
        kinds = {"galois": seal.GaloisKeys, "relin": seal.RelinKeys, "public": seal.PublicKey}
        pieces = wire_format.split_objects(serialized, len(scheme.key_frames))
        loaded = {
            name: scheme.load(kinds[name](), piece, frame)
            for (name, frame), piece in zip(scheme.key_frames.items(), pieces, strict=True)
        }
        public = loaded.get("public")
        encryptor = None if public is None else seal.Encryptor(scheme.context, public)
        return EvaluationKeys(loaded.get("galois"), loaded.get("relin"), encryptor)

    def evaluate(self, serialized: bytes, keys: EvaluationKeys) -> bytes:
        """Return the encrypted logits of a fresh request.

        Raises:
            MalformedError: The bytes are not a request of these parameters.

        Formal guarantee:
            That of the module.
        """
        scheme = self._scheme
        pieces = wire_format.split_objects(serialized, self.parameters.ciphertexts_per_request)
        x = [scheme.load(seal.Ciphertext(), piece, scheme.input_frame) for piece in pieces]
        return b"".join(to_bytes(y) for y in self._logits(x, keys))

    def _logits(self, x: Sequence[Any], keys: EvaluationKeys) -> list[Any]:
        raise NotImplementedError

    def _encode_diagonals(self, layer: Layer, weight: Floats, index: int, primes: int) -> list[list[Any]]:
        """Return the diagonals of layer `index`, for a ciphertext of so many primes; None for zeros."""
        scheme = self._scheme
        scale = 2.0 ** self.parameters.scheme.weight_scale_bits[index]
        return [
            [scheme.encode(slots, scale, scheme.levels[primes - 1]) if slots.any() else None for slots in row]
            for row in layout.weight_diagonals(self.parameters, layer, weight)
        ]

    def _product(self, layer: Layer, x: Any, factors: Sequence[Sequence[Any]], keys: EvaluationKeys) -> Any:
        """Return x times the weights of a layer, not rescaled yet; outputs start at its `out_offset`."""
        evaluator = self._seal

        def rotate(operand: Any, step: int) -> Any:
            rotated = seal.Ciphertext()
            evaluator.rotate_vector(operand, step, keys.galois, rotated)
            return rotated

        y = layout.multiply(layer, x, factors, rotate=rotate, times=self._times, add=self._add)
        # Folded before it is rescaled: at the larger scale the noise of these rotations is lost in rounding.
        # A fast linear head rescales first: on fewer primes a rotation takes less time.
        if self.parameters.profile == "fast" and self.parameters.degree == 1:
            y = self._rescale(y)
        return layout.fold(layer, y, rotate=rotate, add=self._add)

    def _times(self, operand: Any, factor: Any) -> Any:
        product = seal.Ciphertext()
        self._seal.multiply_plain(operand, factor, product)
        return product

    def _add(self, total: Any, operand: Any) -> Any:
        self._seal.add_inplace(total, operand)
        return total

    def _rescale(self, y: Any) -> Any:
        if y.coeff_modulus_size() > 1:
            self._seal.rescale_to_next_inplace(y)
        return y

    def _add_plain(self, y: Any, values: Slots) -> Any:
        self._seal.add_plain_inplace(y, self._scheme.encode(values, y.scale, self._scheme.level(y)))
        return y

    def _finish(self, y: Any, bias: Slots, keys: EvaluationKeys) -> Any:
        """Return the logits with their bias, rescaled; flooded and rerandomized as the parameters say."""
        if not self.flooding_level:
            return self._rescale(self._add_plain(y, bias))
        fresh = seal.Ciphertext()
        keys.encryptor.encrypt(self._scheme.encode(bias, y.scale, self._scheme.level(y)), fresh)
        y = self._add(y, fresh)
        for layer in flooding.noise_layers(self._outputs, self.flooding_level, self.masking_level):
            # Twice one half: the encoder refuses more than a quarter of the modulus, although a half fits.
            half = self._scheme.encode(layer / 2, y.scale, self._scheme.level(y))
            for _ in range(2):
                self._seal.add_plain_inplace(y, half)
        return self._rescale(y)


class LinearEvaluator(Evaluator):
    """features @ weight + bias under encryption; the weights are encoded once, on construction.

    Formal guarantee:
        That of `Evaluator`.
    """

    def __init__(self, parameters: Parameters, weight: Floats, bias: Floats) -> None:
        """Encode a linear head.

        Args:
            parameters: Parameters of the head.
            weight: Shape (n_features, n_classes).
            bias: Shape (n_classes,).

        Raises:
            HeadRefusedError: Shapes do not fit, or a logit could wrap around.
        """
        weight, bias = check_layer(weight, bias, (parameters.n_features, parameters.n_classes))
        norm, self.logit_bound, column_norm = linear_bounds(parameters, weight, bias)
        super().__init__(parameters, norm, column_norm, column_norm * min(norm, flooding.NORM))
        (self._layer,) = layout.layers(parameters)
        self._bias = layout.repeat_per_block(parameters, bias)
        self._factors = self._encode_diagonals(self._layer, weight, 0, len(self._scheme.primes))

    def _logits(self, x: Sequence[Any], keys: EvaluationKeys) -> list[Any]:
        y = self._product(self._layer, x[0], self._factors, keys)
        return [self._finish(y, self._bias, keys)]


class SlotEvaluator(Evaluator):
    """A linear head for thousands of documents per request: `slot` packing, no rotation, no Galois key.

    Every slot is an output, so there is nothing to mask.

    Formal guarantee:
        That of `Evaluator`.
    """

    def __init__(self, parameters: Parameters, weight: Floats, bias: Floats) -> None:
        """Prepare a linear head.

        Args:
            parameters: Parameters of the head.
            weight: Shape (n_features, n_classes).
            bias: Shape (n_classes,).

        Raises:
            HeadRefusedError: Shapes do not fit, a class has no weights, or a logit could wrap around.
        """
        weight, bias = check_layer(weight, bias, (parameters.n_features, parameters.n_classes))
        norm, self.logit_bound, column_norm = linear_bounds(parameters, weight, bias)
        super().__init__(parameters, norm, column_norm, column_norm * min(norm, flooding.NORM))
        scale = 2.0 ** parameters.scheme.weight_scale_bits[0]
        self._weight, self._bias = np.where(np.abs(weight) * scale < 1, 0, weight), bias
        if not self._weight.any(axis=0).all():
            raise HeadRefusedError("a class without weights has nothing to multiply in this packing")

    def _logits(self, x: Sequence[Any], keys: EvaluationKeys) -> list[Any]:
        scheme = self._scheme
        scale, level = 2.0 ** self.parameters.scheme.weight_scale_bits[0], scheme.levels[-1]
        logits: list[Any] = []
        for column, bias in zip(self._weight.T, self._bias, strict=True):
            total: Any = None
            for ciphertext, weight in zip(x, column.tolist(), strict=True):
                # Encoded here and not at load: a constant takes microseconds to encode, and 32 kB to store.
                if weight == 0:
                    continue  # SEAL refuses a product that does not depend on the key
                factor, product = seal.Plaintext(), seal.Ciphertext()
                scheme.encoder.encode(weight, level, scale, factor)
                self._seal.multiply_plain(ciphertext, factor, product)
                total = product if total is None else self._add(total, product)
            both = np.full(self.parameters.slots, complex(bias, bias))
            logits.append(self._finish(total, both, keys))
        return logits


def state_errors(parameters: Parameters, column_norm: float, gain: float = 1.0) -> tuple[float, float]:
    """Return `error_floor` and `error_slope` of the heads with such weights.

    Both grow with each argument.

    Args:
        parameters: Parameters of the head.
        column_norm: Largest norm of a column of the (first) weights.
        gain: Growth of an error in a second layer.
    """
    chosen = parameters.scheme
    slope = chosen.logit_error(column_norm, 1, gain) - chosen.logit_error(column_norm, 0, gain)
    floor = max(0.0, chosen.logit_error(column_norm, 0, gain) - slope)
    return floor + flooding.TAIL * _choose_flooding_level(parameters, column_norm, gain), slope


def _choose_flooding_level(parameters: Parameters, column_norm: float, gain: float) -> float:
    bits = parameters.scheme.flooding_bits
    drowned = parameters.scheme.error_to_flood(column_norm, gain, parameters.n_hidden)
    return flooding.noise_level(drowned, _count_outputs(parameters), bits) if bits else 0.0


def _count_outputs(parameters: Parameters) -> int:
    """Return the number of outputs of a ciphertext; a complex slot may have two."""
    outputs = layout.output_mask(parameters)
    return int(np.count_nonzero(np.real(outputs)) + np.count_nonzero(np.imag(outputs)))


def check_layer(weight: Floats, bias: Floats, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return weight and bias in float64.

    Raises:
        HeadRefusedError: They are not finite, all zero, or of other shapes.
    """
    weight, bias = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
    if weight.shape != shape or bias.shape != shape[1:]:
        raise HeadRefusedError(f"weight {weight.shape} and bias {bias.shape} do not fit {shape}")
    if not (np.isfinite(weight).all() and np.isfinite(bias).all() and weight.any()):
        raise HeadRefusedError("weights must be finite and not all zero")
    return weight, bias


def logit_limit(parameters: Parameters) -> float:
    """Return the largest logit that is served.

    It is half of what wraps around, since partial sums of two neighboring blocks can meet in one slot.
    """
    return 2.0 ** (parameters.scheme.magnitude_bits - 1)


def linear_bounds(parameters: Parameters, weight: Floats, bias: Floats) -> tuple[float, float, float]:
    """Return the largest norm of features, the largest logit of those, and the largest norm of a column.

    Formal guarantee:
        Logits of features up to the returned norm do not wrap around (Cauchy-Schwarz).

    Raises:
        HeadRefusedError: Even logits of features of norm 1 could wrap around.
    """
    limit = logit_limit(parameters)
    column_norm, bias_bound = float(np.linalg.norm(weight, axis=0).max()), float(np.abs(bias).max())
    norm = min((limit - bias_bound) / column_norm, MAX_FEATURE_NORM)
    if norm < 1:
        raise HeadRefusedError(f"logits of features of norm 1 could pass {limit:g} and wrap around")
    return norm, norm * column_norm + bias_bound, column_norm
