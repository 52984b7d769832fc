"""CKKS parameters: chosen by us from a table of 128-bit sets, never by a caller of the endpoint."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

Profile = Literal["sealed", "fast"]
Packing = Literal["block", "slot"]

MIN_FEATURES, MAX_FEATURES = 64, 1024
MIN_CLASSES, MAX_CLASSES = 2, 200
MAX_HIDDEN = 256
# Weights of a larger norm, or a second layer of a larger gain, raise the error that is drowned in proportion.
RMS_NORM = 32.0
RMS_GAIN = 10.0
# What `choose` asks for where the caller states no error.
MAX_ERROR: dict[Profile, float] = {"fast": 2e-3, "sealed": 1e-5}
# Likewise of the flooding: 2^-20 an answer, of which 1,000 answers make a total variation of 2 percent.
FLOODING_BITS: dict[Profile, int] = {"fast": 0, "sealed": 20}


class ShapeRefusedError(ValueError):
    """A head of this shape cannot be served encrypted."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One row of the table: ring, modulus chain and scales.

    `coeff_modulus_bits` ends with the special prime of key switching. Together they stay below the largest
    modulus that the Homomorphic Encryption Standard (2018, table 1: ternary secret, classical attacks)
    gives 128 bits of security at this degree; SEAL checks it again when the context is made.

    weight_scale_bits: of each layer. Every product is rescaled by the last prime but the first that is left;
    the first stays. The scales are split so that no step's noise is far above the others: rounding when
    rescaling (2^11 over the scale there, at N=8192), key switching before a product (2^13 over the scale,
    times the weights), encoding (2^5 over the scale of the weights, times the features).

    The absolute error of a logit before flooding stays below

        (error_floor + error_slope * w + encoding_error * x) * gain

    with w the largest norm of a column of the (first) weights, x the norm of the features, and the gain of
    the second layer where there is one. error_floor (rounding) and error_slope (key switching) were measured
    over the shapes served here and rounded up at least three-fold; not a worst-case proof.

    magnitude_bits: of a logit that does not wrap around; in a flooded reply the noise has room beside it.
    flooding_bits: see `lexveil.privacy.he.flooding`; 0 for none. rms_error: above the root mean square of the
    error of the outputs, for column norms of up to `RMS_NORM` and a gain of up to `RMS_GAIN` (measured,
    rounded up
    three-fold as well).
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
        # A coefficient is rounded by a uniform half at most; a slot sums N of them. 4.5 standard deviations.
        return 4.5 * (self.poly_modulus_degree / 12) ** 0.5 * 2.0 ** -self.weight_scale_bits[0]

    def error_to_flood(self, column_norm: float, gain: float = 1.0) -> float:
        """Root mean square over the outputs of the error that the flooding must drown."""
        return self.rms_error * max(1.0, column_norm / RMS_NORM) * max(1.0, gain / RMS_GAIN)

    def logit_error(self, column_norm: float, feature_norm: float, gain: float = 1.0) -> float:
        """Bound on the error of a logit before flooding."""
        summed = self.error_floor + self.error_slope * column_norm + self.encoding_error * feature_norm
        return summed * gain


# 128-bit bound on the whole modulus by ring degree, in bits (Homomorphic Encryption Standard, table 1).
MODULUS_BOUND_BITS = {4096: 109, 8192: 218, 16384: 438}

# By packing, profile and degree of the polynomial between the layers (1 for a linear head); cheapest first.
TABLE: dict[tuple[Packing, Profile, int], tuple[ParameterSet, ...]] = {
    # One product without rescaling, for logits below 2^6.
    ("block", "fast", 1): (
        ParameterSet(4096, (54, 55), 29, (17,), 7, 1e-5, 6e-5),
        ParameterSet(8192, (60, 40, 60), 44, (40,), 15, 1e-6, 2e-8),
    ),
    ("block", "sealed", 1): (ParameterSet(8192, (60, 60, 60), 54, (38,), 10, 6e-6, 1e-12, 30, 2.5e-10),),
    ("block", "fast", 2): (ParameterSet(8192, (50, 37, 41, 38, 51), 45, (34, 36), 9, 2.5e-8, 1e-9),),
    ("block", "sealed", 2): (
        ParameterSet(8192, (54, 43, 31, 36, 54), 43, (30, 32), 9, 5e-6, 1e-8, 20, 1e-7),
        ParameterSet(16384, (60, 60, 48, 50, 60), 55, (45, 41), 9, 5e-6, 1e-11, 30, 1.2e-10),
    ),
    ("block", "fast", 3): (ParameterSet(8192, (46, 31, 32, 31, 32, 46), 38, (27, 31), 9, 2.5e-5, 1e-6),),
    # Flooded less, answers are sixteen times as exact: weights trained under DP leave small margins.
    ("block", "sealed", 3): (
        ParameterSet(16384, (60, 60, 45, 45, 45, 60), 50, (40, 48), 9, 5e-6, 5e-11, 20, 2.2e-9),
        ParameterSet(16384, (60, 60, 45, 45, 45, 60), 50, (40, 48), 9, 5e-6, 5e-11, 28, 2.2e-9),
    ),
    ("slot", "fast", 1): (ParameterSet(4096, (54, 55), 29, (17,), 7, 1e-5, 6e-5),),
    ("slot", "sealed", 1): (ParameterSet(8192, (60, 60, 60), 52, (40,), 10, 6e-6, 1e-12, 30, 6e-12),),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What client and server must agree on to the bit; the server publishes it, the client checks it.

    packing: `block` puts a document into a block of `block_size` slots; `slot` puts one feature of thousands
    of documents into a ciphertext. n_hidden: 0 for a linear head. degree: of the polynomial between the
    layers, 1 for a linear head. max_error, flooding_bits: what was asked. outputs: outputs of the last layer
    padded to a power of two. reason: why these were chosen, for people.
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
        return self.scheme.poly_modulus_degree // 2

    @property
    def outputs(self) -> int:
        return next_power_of_two(self.n_classes)

    @property
    def documents_per_ciphertext(self) -> int:
        """Of the reply; in `slot` packing a document stands in each half of a complex slot."""
        return 2 * self.slots if self.packing == "slot" else self.slots // self.block_size

    @property
    def ciphertexts_per_request(self) -> int:
        return self.n_features if self.packing == "slot" else 1

    @property
    def ciphertexts_per_reply(self) -> int:
        return self.n_classes if self.packing == "slot" else 1

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Parameters:
        """Raises ValueError unless the text is what `choose` gives for its shape."""
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
    """The cheapest set of the table for a head of this shape, and why.

    n_hidden, degree: of a two-layer network and of its polynomial, 2 or 3. max_error: largest absolute error
    of a logit before flooding, for features of norm 1 and (first) weight columns of norm sqrt(n_features), at
    a gain of 1; `MAX_ERROR` where none is asked. flooding_bits: divergence of 2^-bits an answer at most;
    `FLOODING_BITS` where none is asked.

    Both sides compute this from the same record, so a server cannot talk a client into weak parameters.
    Raises `ShapeRefusedError` outside 64..1024 features, 2..200 classes and 2..256 hidden units, and where no set
    reaches the error and the flooding.
    """
    _require_in_range("features", n_features, MIN_FEATURES, MAX_FEATURES)
    _require_in_range("classes", n_classes, MIN_CLASSES, MAX_CLASSES)
    if n_hidden != 0:
        _require_in_range("hidden units", n_hidden, 2, MAX_HIDDEN)
    if profile not in get_args(Profile) or packing not in get_args(Packing):
        raise ShapeRefusedError("no such profile or packing")
    asked = MAX_ERROR[profile] if max_error is None else max_error
    bits = FLOODING_BITS[profile] if flooding_bits is None else flooding_bits
    rows = TABLE.get((packing, profile, degree), ())
    if (n_hidden == 0) != (degree == 1) or not rows:
        raise ShapeRefusedError(
            f"no set serves {n_hidden} hidden units, degree {degree} and {packing} packing"
        )
    block_size = 1 if packing == "slot" else _block_size(n_features, n_hidden, n_classes)
    for row in rows:
        good = row.logit_error(n_features**0.5, 1.0) <= asked and row.flooding_bits >= bits
        if good and block_size <= row.poly_modulus_degree // 2:
            chosen = Parameters(
                row, profile, packing, n_features, n_hidden, n_classes, degree, asked, bits, block_size, ""
            )
            return _with_reason(chosen, rows.index(row))
    best, most = (
        min(row.logit_error(n_features**0.5, 1.0) for row in rows),
        max(row.flooding_bits for row in rows),
    )
    raise ShapeRefusedError(
        f"no set of the table reaches an error of {asked!r} and a flooding of 2^-{bits!r}; the best are "
        f"{best:.1g} and 2^-{most}"
    )


def _require_in_range(name: str, value: object, low: int, high: int) -> None:
    # Comes from JSON.
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
    return 1 << (at_least - 1).bit_length()
