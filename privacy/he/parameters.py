"""CKKS parameters: chosen by us from a table of 128-bit sets, never by a caller of the endpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MIN_FEATURES, MAX_FEATURES = 64, 1024
MIN_CLASSES, MAX_CLASSES = 2, 200


class ShapeRefused(ValueError):
    """A head of this shape cannot be served encrypted."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One row of the table: ring, modulus chain and scales.

    `coeff_modulus_bits` ends with the special prime of key switching. Together they stay below the largest
    modulus that the Homomorphic Encryption Standard (2018, table 1: ternary secret, classical attacks)
    gives 128 bits of security at this degree; SEAL checks it again when the context is made.

    The absolute error of a logit stays below `error_floor` (key switching) + `error_slope` * (largest norm of
    a weight column) * (1 + norm of the features) (encryption and encoding). Measured over the shapes served
    here and rounded up at least three-fold; not a worst-case proof.
    """

    poly_modulus_degree: int
    coeff_modulus_bits: tuple[int, ...]
    feature_scale_bits: int
    weight_scale_bits: int
    error_floor: float
    error_slope: float

    @property
    def magnitude_bits(self) -> int:
        """A slot must stay below 2 to this power after rescaling, or it wraps around silently."""
        scale_bits = self.feature_scale_bits + self.weight_scale_bits - self.coeff_modulus_bits[1]
        return self.coeff_modulus_bits[0] - 1 - scale_bits


# 128-bit bound on the whole modulus by ring degree, in bits (Homomorphic Encryption Standard, table 1).
MODULUS_BOUND_BITS = {4096: 109, 8192: 218, 16384: 438}

# Linear heads: one product with a plaintext, so one rescaling. The 40-bit scales leave errors near 1e-6.
LINEAR = ParameterSet(8192, (60, 40, 60), 40, 40, error_floor=1.2e-5, error_slope=2e-8)
TABLE = (LINEAR,)


@dataclass(frozen=True, slots=True)
class Parameters:
    """What client and server must agree on to the bit; the server publishes it, the client checks it.

    block_size: slots of one document. outputs: `n_classes` padded to a power of two.
    baby_steps: rotations of the input that are computed once and used by every giant step.
    reason: why these were chosen, for people.
    """

    scheme: ParameterSet
    n_features: int
    n_classes: int
    block_size: int
    outputs: int
    baby_steps: int
    reason: str

    @property
    def slots(self) -> int:
        return self.scheme.poly_modulus_degree // 2

    @property
    def documents_per_ciphertext(self) -> int:
        return self.slots // self.block_size

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Raises ValueError unless the text is what `choose` gives for its shape."""
        try:
            record = json.loads(text)
            chosen = choose(record["n_features"], record["n_classes"])
        except (KeyError, TypeError) as error:
            raise ValueError("not a record of parameters") from error
        if record != json.loads(chosen.to_json()):
            raise ValueError("these parameters are not in the table")
        return chosen


def choose(n_features: int, n_classes: int) -> Parameters:
    """Parameters for a linear head from `n_features` to `n_classes`.

    Both sides compute this from the same two numbers, so a server cannot talk a client into weak
    parameters. Raises `ShapeRefused` outside 64..1024 features and 2..200 classes.
    """
    for name, value, low, high in (
        ("features", n_features, MIN_FEATURES, MAX_FEATURES),
        ("classes", n_classes, MIN_CLASSES, MAX_CLASSES),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:  # pyright: ignore[reportUnnecessaryIsInstance] - comes from JSON
            raise ShapeRefused(f"an encrypted head has {low} to {high} {name}, this one has {value!r}")
    outputs = _power_of_two(n_classes)
    block_size = _power_of_two(n_features + outputs - 1)
    baby_steps = 1 << ((outputs.bit_length() - 1) // 2)
    documents = LINEAR.poly_modulus_degree // 2 // block_size
    reason = (
        f"linear head {n_features} -> {n_classes}: one multiplication, so a chain of one scale; "
        f"N={LINEAR.poly_modulus_degree} holds {documents} documents a ciphertext, "
        f"{sum(LINEAR.coeff_modulus_bits)} of {MODULUS_BOUND_BITS[LINEAR.poly_modulus_degree]} bits "
        f"that 128-bit security allows"
    )
    return Parameters(LINEAR, n_features, n_classes, block_size, outputs, baby_steps, reason)


def _power_of_two(at_least: int) -> int:
    return 1 << (at_least - 1).bit_length()
