from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexveil.privacy.he.layout import layers
from lexveil.privacy.he.parameters import (
    MODULUS_BOUND_BITS,
    TABLE,
    Parameters,
    ShapeRefusedError,
    choose_parameters,
)
from lexveil.privacy.he.scheme import Scheme

KINDS: list[dict[str, Any]] = [
    {"profile": profile, "packing": packing, "degree": degree, "n_hidden": 0 if degree == 1 else 64}
    for packing, profile, degree in TABLE
]
ROWS = [row for rows in TABLE.values() for row in rows]
shapes = st.tuples(st.integers(64, 1024), st.integers(2, 200))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.coeff_modulus_bits))
def test_every_set_is_within_the_128_bit_bound(row: Any) -> None:
    assert sum(row.coeff_modulus_bits) <= MODULUS_BOUND_BITS[row.poly_modulus_degree]
    # Key switching adds a noise of about (largest prime) / (special prime).
    assert row.coeff_modulus_bits[-1] >= max(row.coeff_modulus_bits[:-1])


@pytest.mark.parametrize(
    "kind", KINDS, ids=lambda kind: f"{kind['packing']}-{kind['profile']}-{kind['degree']}"
)
def test_a_logit_of_the_stated_magnitude_does_not_wrap(kind: dict[str, Any]) -> None:
    packing, profile, degree = kind["packing"], kind["profile"], kind["degree"]
    errors = [row.logit_error(64**0.5, 1.0) for row in TABLE[packing, profile, degree]]
    for error in errors:
        parameters = choose_parameters(64, 3, **kind, max_error=error)
        scheme = Scheme(parameters)
        modulus = 1
        for prime in scheme.primes[: scheme.output_primes]:
            modulus *= prime
        # Primes are a little off their powers of two; heads are held to half of the magnitude.
        assert scheme.output_scale * 2.0**parameters.scheme.magnitude_bits <= 1.01 * modulus / 2
        # Precision is lost only where there is none to lose: at least 2^24 steps to one logit.
        assert scheme.output_scale >= 2.0**24


@given(shapes, st.sampled_from(["sealed", "fast"]))
def test_a_document_fits_its_block(shape: tuple[int, int], profile: Any) -> None:
    parameters = choose_parameters(*shape, profile=profile)
    (layer,) = layers(parameters)
    assert parameters.block_size >= parameters.n_features + parameters.outputs - 1
    assert parameters.slots % parameters.block_size == 0
    assert parameters.outputs >= parameters.n_classes
    assert parameters.outputs % layer.baby_steps == 0


@given(shapes, st.sampled_from(KINDS))
def test_json_round_trip(shape: tuple[int, int], kind: dict[str, Any]) -> None:
    parameters = choose_parameters(*shape, **kind, max_error=1e-2)
    assert Parameters.from_json(parameters.to_json()) == parameters


def test_the_cheapest_set_that_reaches_the_error_is_chosen_and_says_why() -> None:
    small, large = (
        choose_parameters(384, 10, profile="fast"),
        choose_parameters(384, 10, profile="fast", max_error=1e-5),
    )
    assert (small.scheme.poly_modulus_degree, small.documents_per_ciphertext) == (4096, 4)
    assert (large.scheme.poly_modulus_degree, large.documents_per_ciphertext) == (8192, 8)
    assert "1 cheaper would miss it" in large.reason
    assert "384 -> 10" in small.reason
    assert "106 of 106 bits" in small.reason
    with pytest.raises(ShapeRefusedError, match="no set of the table reaches"):
        choose_parameters(384, 10, max_error=1e-15)


@pytest.mark.parametrize("shape", [(63, 2), (1025, 2), (64, 1), (64, 201), (True, 2), (384.0, 2), ("384", 2)])
def test_other_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ShapeRefusedError):
        choose_parameters(*shape)


@pytest.mark.parametrize(
    "kind",
    [
        {"n_hidden": 64},
        {"n_hidden": 64, "degree": 4},
        {"degree": 2},
        {"n_hidden": 1, "degree": 2},
        {"n_hidden": 257, "degree": 2},
        {"n_hidden": True, "degree": 2},
        {"n_hidden": 64, "degree": 2, "packing": "slot"},
        {"profile": "none"},
        {"packing": "none"},
    ],
)
def test_other_kinds_are_refused(kind: dict[str, Any]) -> None:
    with pytest.raises(ShapeRefusedError):
        choose_parameters(384, 10, **kind)


def test_parameters_from_elsewhere_are_refused() -> None:
    record = json.loads(choose_parameters(384, 10).to_json())
    weak = {**record, "scheme": {**record["scheme"], "coeff_modulus_bits": [60, 60, 60, 60]}}
    odd = [{**record, "more": 1}, {**record, "max_error": "1"}, {**record, "profile": ["fast"]}]
    for text in (json.dumps(weak), *map(json.dumps, odd), "[]", "{}", "null", "not json"):
        with pytest.raises(ValueError):
            Parameters.from_json(text)
