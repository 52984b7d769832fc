"""CKKS parameters, chosen from a table of 128-bit secure sets and never by a caller of the endpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

Profile = Literal["sealed", "fast"]
Packing = Literal["block", "slot"]

MIN_FEATURES, MAX_FEATURES = 64, 1024
MIN_CLASSES, MAX_CLASSES = 2, 200
MAX_HIDDEN = 256
# Weights of a larger norm, a larger gain of a second layer, or more hidden units raise the drowned error.
RMS_NORM = 32.0
RMS_GAIN = 10.0
RMS_HIDDEN = 64
# Errors of `choose_parameters` where the caller requests none.
MAX_ERROR: dict[Profile, float] = {"fast": 3e-3, "sealed": 1e-5}
# Likewise the flooding: 2^-20 per answer, so that 1,000 answers make a total variation of 2 percent.
FLOODING_BITS: dict[Profile, int] = {"fast": 0, "sealed": 20}


class ShapeRefusedError(ValueError):
    """A head of this shape cannot be served encrypted."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One row of the table: ring, modulus chain and scales.

    Every product is rescaled by the last prime, except the first that is left; the first stays. The scales
    are split so that no step's noise is far above the others: rounding when rescaling (2^11 over the scale
    there, at N=8192), key switching before a product (2^13 over the scale, times the weights), encoding (2^5
    over the scale of the weights, times the features).

    Attributes:
        poly_modulus_degree: Ring degree N.
        coeff_modulus_bits: Bits of the primes of the modulus, ending with the special prime of key switching.
        feature_scale_bits: Bits of the scale of the features.
        weight_scale_bits: Bits of the scale of each layer's weights.
        magnitude_bits: Bits of a logit that does not wrap around; in a flooded reply there is
            headroom for the noise.
        error_floor: Error by rounding, see below.
        error_slope: Error by key switching, see below.
        flooding_bits: See `lexveil.privacy.he.flooding`; 0 for none.
        rms_error: Upper bound of the root mean square of the error of the outputs, for column norms of up to
            `RMS_NORM`, a gain of up to `RMS_GAIN` and `RMS_HIDDEN` hidden units: the largest that was
            measured over the shapes served here.

    Formal guarantee:
        The primes together stay below the largest modulus to which the guidelines of 2024 (Bossuat et al.,
        "Security Guidelines for Implementing Homomorphic Encryption", ePrint 2024/463, table 5.2: ternary
        secret) give 128 bits of security at this degree. They are stricter than the Homomorphic Encryption
        Standard (2018), which SEAL checks when the context is made. The absolute error of a logit before
        flooding stays below

            (error_floor + error_slope * w + encoding_error * x) * gain

        with w the largest norm of a column of the (first) weights, x the norm of the features, and the gain
        of the second layer if there is one. error_floor (rounding) and error_slope (key switching) were
        measured over the shapes served here and rounded up at least three-fold; this is not a worst-case
        proof.
    """

    poly_modulus_degree: int
    coeff_modulus_bits: tuple[int, ...]
    feature_scale_bits: int
    weight_scale_bits: tuple[int, ...]
    magnitude_bits: int
    error_floor: float
    error_slope: float
    flooding_bits: int = 0
    rms_error: float = 0.0

    @property
    def encoding_error(self) -> float:
        """Error of a logit by encoding the weights, for features of norm 1."""
        # A coefficient is rounded by at most one half, uniformly; a slot sums N. 4.5 standard deviations.
        return 4.5 * (self.poly_modulus_degree / 12) ** 0.5 * 2.0 ** -self.weight_scale_bits[0]

    def error_to_flood(self, column_norm: float, gain: float = 1.0, hidden: int = 0) -> float:
        """Return the root mean square over the outputs of the error that flooding must drown."""
        size = max(1.0, column_norm / RMS_NORM) * max(1.0, hidden / RMS_HIDDEN)
        return self.rms_error * size * max(1.0, gain / RMS_GAIN)

    def logit_error(self, column_norm: float, feature_norm: float, gain: float = 1.0) -> float:
        """Return the bound on the error of a logit before flooding; see the class."""
        summed = self.error_floor + self.error_slope * column_norm + self.encoding_error * feature_norm
        return summed * gain


# 128-bit bound on the whole modulus by ring degree, in bits (ePrint 2024/463, table 5.2, ternary secret).
MODULUS_BOUND_BITS = {4096: 106, 8192: 214, 16384: 430}

# By packing, profile and degree of the polynomial between the layers (1 for a linear head); cheapest first.
TABLE: dict[tuple[Packing, Profile, int], tuple[ParameterSet, ...]] = {
    # One product without rescaling, for logits below 2^6.
    ("block", "fast", 1): (
        ParameterSet(4096, (52, 54), 28, (16,), 7, 1e-5, 8e-5),
        ParameterSet(8192, (60, 40, 60), 44, (40,), 15, 1e-6, 2e-8),
    ),
    ("block", "sealed", 1): (ParameterSet(8192, (60, 60, 60), 54, (38,), 10, 6e-6, 1e-12, 30, 2.5e-10),),
    ("block", "fast", 2): (ParameterSet(8192, (50, 36, 40, 38, 50), 45, (33, 36), 9, 5e-8, 1e-9),),
    ("block", "sealed", 2): (
        ParameterSet(8192, (54, 42, 29, 35, 54), 42, (28, 33), 9, 5e-6, 1e-8, 20, 1e-7),
        ParameterSet(16384, (60, 60, 48, 50, 60), 55, (43, 45), 9, 5e-6, 1e-11, 30, 2e-10),
    ),
    ("block", "fast", 3): (ParameterSet(8192, (45, 31, 31, 31, 31, 45), 38, (25, 32), 9, 2.5e-5, 1e-6),),
    # With less flooding, answers are sixteen times as exact: weights trained under DP leave small margins.
    ("block", "sealed", 3): (
        ParameterSet(16384, (60, 60, 45, 45, 45, 60), 50, (40, 48), 9, 5e-6, 5e-11, 20, 2.2e-9),
        ParameterSet(16384, (60, 60, 45, 45, 45, 60), 50, (40, 48), 9, 5e-6, 5e-11, 28, 2.2e-9),
    ),
    ("slot", "fast", 1): (ParameterSet(4096, (52, 54), 27, (17,), 7, 1e-5, 6e-5),),
    ("slot", "sealed", 1): (ParameterSet(8192, (60, 60, 60), 52, (40,), 10, 6e-6, 1e-12, 30, 6e-12),),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters on which client and server must agree to the bit.

    The server publishes them, the client checks them.

    Attributes:
        scheme: Row of the table.
        profile: What a reply hides, see `lexveil.privacy.he.evaluate`.
        packing: `block` puts a document into a block of `block_size` slots; `slot` puts one feature of
            thousands of documents into a ciphertext.
        n_features: Number of features.
        n_hidden: Number of hidden units, 0 for a linear head.
        n_classes: Number of classes.
        degree: Degree of the polynomial between the layers, 1 for a linear head.
        max_error: Requested error.
        flooding_bits: Requested flooding.
        block_size: Slots of a document.
        reason: Why these were chosen, for people.
    """

    scheme: ParameterSet
    profile: Profile
    packing: Packing
    n_features: int
    n_hidden: int
    n_classes: int
    degree: int
    max_error: float
    flooding_bits: int
    block_size: int
    reason: str

    @property
    def slots(self) -> int:
        """Number of slots of a ciphertext."""
        return self.scheme.poly_modulus_degree // 2

    @property
    def outputs(self) -> int:
        """Number of outputs of the last layer, padded to a power of two."""
        return next_power_of_two(self.n_classes)

    @property
    def documents_per_ciphertext(self) -> int:
        """Documents per ciphertext of the reply; in `slot` packing each half of a complex slot has one."""
        return 2 * self.slots if self.packing == "slot" else self.slots // self.block_size

    @property
    def ciphertexts_per_request(self) -> int:
        """Ciphertexts per request."""
        return self.n_features if self.packing == "slot" else 1

    @property
    def ciphertexts_per_reply(self) -> int:
        """Ciphertexts per reply."""
        return self.n_classes if self.packing == "slot" else 1

    def to_json(self) -> str:
        """Return the record that both sides compare."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Parse a record.

        Raises:
            ValueError: The text is not what `choose_parameters` gives for its shape.

        Formal guarantee:
            Only parameters of the table are returned, so a server cannot talk a client into weak ones.
        """
        try:
            record = json.loads(text)
            chosen = choose_parameters(
                record["n_features"],
                record["n_classes"],
                n_hidden=record["n_hidden"],
                degree=record["degree"],
                profile=record["profile"],
                packing=record["packing"],
                max_error=record["max_error"],
                flooding_bits=record["flooding_bits"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError("not a record of parameters") from error
        if record != json.loads(chosen.to_json()):
            raise ValueError("these parameters are not in the table")
        return chosen


def choose_parameters(
    n_features: int,
    n_classes: int,
    *,
    n_hidden: int = 0,
    degree: int = 1,
    profile: Profile = "sealed",
    packing: Packing = "block",
    max_error: float | None = None,
    flooding_bits: int | None = None,
) -> Parameters:
    """Return the cheapest set of the table for a head of this shape, and why.

    Both sides compute this from the same record, so a server cannot talk a client into weak parameters.

    Args:
        n_features: Number of features.
        n_classes: Number of classes.
        n_hidden: Number of hidden units of a two-layer network; 0 for a linear head.
        degree: Degree of its polynomial, 2 or 3; 1 for a linear head.
        profile: What a reply hides.
        packing: Layout of documents in ciphertexts.
        max_error: Largest absolute error of a logit before flooding, for features of norm 1 and (first)
            weight columns of norm sqrt(n_features), at a gain of 1; None for `MAX_ERROR`.
        flooding_bits: The divergence per answer is at most 2^-bits; None for `FLOODING_BITS`.

    Raises:
        ShapeRefusedError: Outside 64..1024 features, 2..200 classes and 2..256 hidden units, or no set
            reaches the error and the flooding.

    Formal guarantee:
        That of `ParameterSet`.
    """
    _require_in_range("features", n_features, MIN_FEATURES, MAX_FEATURES)
    _require_in_range("classes", n_classes, MIN_CLASSES, MAX_CLASSES)
    if n_hidden != 0:
        _require_in_range("hidden units", n_hidden, 2, MAX_HIDDEN)
    if profile not in get_args(Profile) or packing not in get_args(Packing):
        raise ShapeRefusedError("no such profile or packing")
    requested = MAX_ERROR[profile] if max_error is None else max_error
    bits = FLOODING_BITS[profile] if flooding_bits is None else flooding_bits
    rows = TABLE.get((packing, profile, degree), ())
    if (n_hidden == 0) != (degree == 1) or not rows:
        raise ShapeRefusedError(
            f"no set serves {n_hidden} hidden units, degree {degree} and {packing} packing"
        )
    block_size = 1 if packing == "slot" else _block_size(n_features, n_hidden, n_classes)
    for row in rows:
        suitable = row.logit_error(n_features**0.5, 1.0) <= requested and row.flooding_bits >= bits
        if suitable and block_size <= row.poly_modulus_degree // 2:
            chosen = Parameters(
                row,
                profile,
                packing,
                n_features,
                n_hidden,
                n_classes,
                degree,
                requested,
                bits,
                block_size,
                "",
            )
            return _with_reason(chosen, rows.index(row))
    best, most = (
        min(row.logit_error(n_features**0.5, 1.0) for row in rows),
        max(row.flooding_bits for row in rows),
    )
    raise ShapeRefusedError(
        f"no set of the table reaches an error of {requested!r} and a flooding of 2^-{bits!r}; the best are "
        f"{best:.1g} and 2^-{most}"
    )


def _require_in_range(name: str, value: object, low: int, high: int) -> None:
    # The value may come from JSON.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ShapeRefusedError(f"an encrypted head has {low} to {high} {name}, this one has {value!r}")


def _block_size(n_features: int, n_hidden: int, n_classes: int) -> int:
    offset = next_power_of_two(n_classes) - 1
    if n_hidden:
        offset += next_power_of_two(n_hidden) - 1
    return next_power_of_two(n_features + offset)


def _with_reason(parameters: Parameters, cheaper: int) -> Parameters:
    p, row = parameters, parameters.scheme
    kinds = {1: "linear head", 2: "network with a square", 3: "network with a cubic"}
    shape = " -> ".join(str(n) for n in (p.n_features, p.n_hidden, p.n_classes) if n)
    rescalings = len(row.coeff_modulus_bits) - 2
    sealing = f", flooded at 2^-{row.flooding_bits} an answer" if row.flooding_bits else ""
    reason = (
        f"{kinds[p.degree]} {shape}, {p.profile}, {p.packing} packing: "
        f"N={row.poly_modulus_degree} holds {p.documents_per_ciphertext} documents a request, "
        f"{rescalings} rescalings, {sum(row.coeff_modulus_bits)} of "
        f"{MODULUS_BOUND_BITS[row.poly_modulus_degree]} bits that 128-bit security allows{sealing}; "
        f"error {row.logit_error(p.n_features**0.5, 1.0):.1g} where {p.max_error:.1g} is asked"
    )
    if cheaper:
        reason += f" ({cheaper} cheaper would miss it)"
    return replace(p, reason=reason)


def next_power_of_two(at_least: int) -> int:
    """Return the smallest power of two that is at least `at_least`."""
    return 1 << (at_least - 1).bit_length()
