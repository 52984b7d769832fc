from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.he.parameters import MODULUS_BOUND_BITS, TABLE, Parameters, ShapeRefused, choose

shapes = st.tuples(st.integers(64, 1024), st.integers(2, 200))


def test_every_set_is_within_the_128_bit_bound() -> None:
    for row in TABLE:
        assert sum(row.coeff_modulus_bits) <= MODULUS_BOUND_BITS[row.poly_modulus_degree]


@given(shapes)
def test_a_document_fits_its_block(shape: tuple[int, int]) -> None:
    parameters = choose(*shape)
    assert parameters.block_size >= parameters.n_features + parameters.outputs - 1
    assert parameters.slots % parameters.block_size == 0
    assert parameters.outputs >= parameters.n_classes
    assert parameters.outputs % parameters.baby_steps == 0


@given(shapes)
def test_json_round_trip(shape: tuple[int, int]) -> None:
    parameters = choose(*shape)
    assert Parameters.from_json(parameters.to_json()) == parameters


@pytest.mark.parametrize("shape", [(63, 2), (1025, 2), (64, 1), (64, 201), (True, 2), (384.0, 2), ("384", 2)])
def test_other_shapes_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ShapeRefused):
        choose(*shape)


def test_parameters_from_elsewhere_are_refused() -> None:
    record = json.loads(choose(384, 10).to_json())
    weak = {**record, "scheme": {**record["scheme"], "coeff_modulus_bits": [60, 60, 60, 60]}}
    for text in (json.dumps(weak), json.dumps({**record, "more": 1}), "[]", "{}", "null", "not json"):
        with pytest.raises(ValueError):
            Parameters.from_json(text)
