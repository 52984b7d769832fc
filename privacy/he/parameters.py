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
# A second layer of a larger gain raises the error that is drowned in proportion.
RMS_GAIN = 10.0
# What `choose` asks for where the caller states no error.
MAX_ERROR: dict[Profile, float] = {"fast": 2e-3, "sealed": 1e-5}


class ShapeRefused(ValueError):
    """A head of this shape cannot be served encrypted."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """One row of the table: ring, modulus chain and scales.

    `coeff_modulus_bits` ends with the special prime of key switching. Together they stay below the largest
    modulus that the Homomorphic Encryption Standard (2018, table 1: ternary secret, classical attacks)
    gives 128 bits of security at this degree; SEAL checks it again when the context is made.

    weight_scale_bits: of each layer. mask_scale_bits: of the mask of the `sealed` profile, 0 for none. Every
    product is rescaled by the last prime but the first that is left; the first stays. The scales are split so
    that no step's noise is far above the others: rounding when rescaling (2^11 over the scale there, at
    N=8192), key switching before a product (2^13 over the scale, times the weights), encoding (2^5 over the
    scale of the weights, times the features).

    The absolute error of a logit before flooding stays below

        (error_floor + error_slope * w + encoding_error * x) * gain + mask_error * w * x

    with w the largest norm of a column of the (first) weights, x the norm of the features, and the gain of
    the second layer where there is one (then the mask is part of the floor). error_floor (rounding) and
    error_slope (key switching) were measured over the shapes served here and rounded up at least three-fold;
    not a worst-case proof.

    flooding_bits: see `privacy.he.flooding`; 0 for none. rms_error: above the root mean square of the error
    over all slots, for a gain of up to `RMS_GAIN`, without what the mask leaves of partial sums (measured,
    rounded up three-fold as well).
    """

    poly_modulus_degree: int
    coeff_modulus_bits: tuple[int, ...]
    feature_scale_bits: int
    weight_scale_bits: tuple[int, ...]
    mask_scale_bits: int
    magnitude_bits: int
    error_floor: float
    error_slope: float
    flooding_bits: int = 0
    rms_error: float = 0.0

    @property
    def encoding_error(self) -> float:
        return self._rounding(self.weight_scale_bits[0])

    @property
    def mask_error(self) -> float:
        linear = len(self.weight_scale_bits) == 1
        return self._rounding(self.mask_scale_bits) if linear and self.mask_scale_bits else 0.0

    def _rounding(self, scale_bits: int) -> float:
        # A coefficient is rounded by a uniform half at most; a slot sums N of them. 4.5 standard deviations.
        return 4.5 * (self.poly_modulus_degree / 12) ** 0.5 * 2.0**-scale_bits

    def drowned(self, partial_sums: float, gain: float = 1.0) -> float:
        """Root mean square over all slots of what the flooding must drown.

        partial_sums: root mean square of what stands between the outputs before it is masked, or above.
        """
        left = self._rounding(self.mask_scale_bits) / 4.5 * partial_sums if self.mask_scale_bits else 0.0
        return self.rms_error * max(1.0, gain / RMS_GAIN) + left

    def error(self, column_norm: float, feature_norm: float, gain: float = 1.0) -> float:
        """Bound on the error of a logit before flooding."""
        summed = self.error_floor + self.error_slope * column_norm + self.encoding_error * feature_norm
        return summed * gain + self.mask_error * column_norm * feature_norm


# 128-bit bound on the whole modulus by ring degree, in bits (Homomorphic Encryption Standard, table 1).
MODULUS_BOUND_BITS = {4096: 109, 8192: 218, 16384: 438}

# By packing, profile and degree of the polynomial between the layers (1 for a linear head); cheapest first.
TABLE: dict[tuple[Packing, Profile, int], tuple[ParameterSet, ...]] = {
    # One product without rescaling, for logits below 2^6.
    ("block", "fast", 1): (
        ParameterSet(4096, (54, 55), 29, (17,), 0, 7, 1e-5, 6e-5),
        ParameterSet(8192, (60, 40, 60), 44, (40,), 0, 15, 1e-6, 2e-8),
    ),
    ("block", "sealed", 1): (
        ParameterSet(8192, (60, 49, 49, 60), 54, (44,), 46, 13, 8e-10, 1e-12, 30, 1.4e-10),
    ),
    ("block", "fast", 2): (ParameterSet(8192, (50, 37, 41, 38, 51), 45, (34, 36), 0, 9, 2.5e-8, 1e-9),),
    # The first has room for a weak flooding only.
    ("block", "sealed", 2): (
        ParameterSet(8192, (46, 30, 33, 30, 33, 46), 39, (28, 31), 30, 9, 3e-7, 1e-8, 10, 1.4e-7),
        ParameterSet(16384, (60, 50, 50, 50, 50, 60), 50, (50, 50), 50, 9, 1e-9, 1e-11, 28, 2e-10),
    ),
    ("block", "fast", 3): (ParameterSet(8192, (46, 31, 32, 31, 32, 46), 38, (27, 31), 0, 9, 2.5e-5, 1e-6),),
    ("block", "sealed", 3): (
        ParameterSet(16384, (55, 45, 45, 45, 45, 45, 56), 50, (40, 45), 45, 9, 2e-9, 5e-11, 24, 5e-10),
    ),
    ("slot", "fast", 1): (ParameterSet(4096, (54, 55), 29, (17,), 0, 7, 1e-5, 6e-5),),
    ("slot", "sealed", 1): (ParameterSet(8192, (60, 60, 60), 58, (48,), 0, 13, 5e-10, 1e-12, 30, 1.6e-10),),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What client and server must agree on to the bit; the server publishes it, the client checks it.

    packing: `block` puts a document into a block of `block_size` slots; `slot` puts one feature of thousands
    of documents into a ciphertext. n_hidden: 0 for a linear head. degree: of the polynomial between the
    layers, 1 for a linear head. max_error: what was asked of a logit. outputs: outputs of the last layer
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
    block_size: int
    reason: str

    @property
    def slots(self) -> int:
        return self.scheme.poly_modulus_degree // 2

    @property
    def outputs(self) -> int:
        return power_of_two(self.n_classes)

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
            chosen = choose(
                record["n_features"],
                record["n_classes"],
                n_hidden=record["n_hidden"],
                degree=record["degree"],
                profile=record["profile"],
                packing=record["packing"],
                max_error=record["max_error"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError("not a record of parameters") from error
        if record != json.loads(chosen.to_json()):
            raise ValueError("these parameters are not in the table")
        return chosen


def choose(
    n_features: int,
    n_classes: int,
    *,
    n_hidden: int = 0,
    degree: int = 1,
    profile: Profile = "sealed",
    packing: Packing = "block",
    max_error: float | None = None,
) -> Parameters:
    """The cheapest set of the table for a head of this shape, and why.

    n_hidden, degree: of a two-layer network and of its polynomial, 2 or 3. max_error: largest absolute error
    of a logit before flooding, for features of norm 1 and (first) weight columns of norm sqrt(n_features), at
    a gain of 1; `MAX_ERROR` where none is asked.

    Both sides compute this from the same record, so a server cannot talk a client into weak parameters.
    Raises `ShapeRefused` outside 64..1024 features, 2..200 classes and 2..256 hidden units, and where no set
    reaches the error.
    """
    _refuse_outside("features", n_features, MIN_FEATURES, MAX_FEATURES)
    _refuse_outside("classes", n_classes, MIN_CLASSES, MAX_CLASSES)
    if n_hidden != 0:
        _refuse_outside("hidden units", n_hidden, 2, MAX_HIDDEN)
    if profile not in get_args(Profile) or packing not in get_args(Packing):
        raise ShapeRefused("no such profile or packing")
    asked = MAX_ERROR[profile] if max_error is None else max_error
    rows = TABLE.get((packing, profile, degree), ())
    if (n_hidden == 0) != (degree == 1) or not rows:
        raise ShapeRefused(f"no set serves {n_hidden} hidden units, degree {degree} and {packing} packing")
    block_size = 1 if packing == "slot" else _block_size(n_features, n_hidden, n_classes)
    for row in rows:
        if row.error(n_features**0.5, 1.0) <= asked and block_size <= row.poly_modulus_degree // 2:
            chosen = Parameters(
                row, profile, packing, n_features, n_hidden, n_classes, degree, asked, block_size, reason=""
            )
            return _with_reason(chosen, rows.index(row))
    best = min(row.error(n_features**0.5, 1.0) for row in rows)
    raise ShapeRefused(f"no set of the table reaches an error of {asked!r}; the best is {best:.1g}")


def _refuse_outside(name: str, value: object, low: int, high: int) -> None:
    # Comes from JSON.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ShapeRefused(f"an encrypted head has {low} to {high} {name}, this one has {value!r}")


def _block_size(n_features: int, n_hidden: int, n_classes: int) -> int:
    offset = power_of_two(n_classes) - 1
    if n_hidden:
        offset += power_of_two(n_hidden) - 1
    return power_of_two(n_features + offset)


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
        f"error {row.error(p.n_features**0.5, 1.0):.1g} where {p.max_error:.1g} is asked"
    )
    if cheaper:
        reason += f" ({cheaper} cheaper would miss it)"
    return replace(p, reason=reason)


def power_of_two(at_least: int) -> int:
    return 1 << (at_least - 1).bit_length()
