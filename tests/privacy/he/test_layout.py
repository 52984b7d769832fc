"""The layout against numpy's own product, with rotations of plain vectors in place of ciphertexts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.privacy.he.layout import (
    Layer,
    fold,
    fold_steps,
    layers,
    multiply,
    pack,
    repeat_per_block,
    rotation_steps,
    unpack,
    weight_diagonals,
)
from lexveil.privacy.he.parameters import Parameters, choose_parameters

seeds = st.integers(0, 2**32 - 1)


class Rotations:
    """Plain rotation, which remembers the steps it took."""

    def __init__(self) -> None:
        self.used: set[int] = set()

    def __call__(self, slots: np.ndarray, step: int) -> np.ndarray:
        self.used.add(step)
        return np.roll(slots, -step)

    def product(self, parameters: Parameters, layer: Layer, x: np.ndarray, weight: np.ndarray) -> Any:
        factors = weight_diagonals(parameters, layer, weight)
        y = multiply(layer, x, factors, rotate=self, times=np.multiply, add=np.add)
        return fold(layer, y, rotate=self, add=np.add)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.integers(64, 1024), st.integers(2, 200), st.integers(1, 70), st.booleans(), seeds)
def test_equals_the_matrix_product(n_features: int, n_classes: int, n: int, fast: bool, seed: int) -> None:
    parameters = choose_parameters(n_features, n_classes, profile="fast" if fast else "sealed")
    random = np.random.default_rng(seed)
    weight, bias = random.normal(size=(n_features, n_classes)), random.normal(size=n_classes)
    features = random.normal(size=(n, n_features))
    rotate = Rotations()
    (layer,) = layers(parameters)
    results = np.stack(
        [
            rotate.product(parameters, layer, slots, weight) + repeat_per_block(parameters, bias)
            for slots in pack(parameters, features)
        ]
    )
    np.testing.assert_allclose(unpack(parameters, results, n), features @ weight + bias, atol=1e-9)
    assert tuple(sorted(rotate.used)) == rotation_steps(parameters)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.integers(64, 1024), st.integers(2, 256), st.integers(2, 200), st.integers(1, 40), st.booleans(), seeds
)
def test_two_layers_equal_two_products(
    n_features: int, n_hidden: int, n_classes: int, n: int, cubic: bool, seed: int
) -> None:
    parameters = choose_parameters(
        n_features, n_classes, n_hidden=n_hidden, degree=3 if cubic else 2, max_error=1e-2
    )
    random = np.random.default_rng(seed)
    first, second = (
        random.normal(size=(n_features, n_hidden)),
        random.normal(size=(n_hidden, n_classes)),
    )
    features = random.normal(size=(n, n_features)) / n_features**0.5
    rotate = Rotations()
    one, two = layers(parameters)
    results: list[np.ndarray] = []
    for slots in pack(parameters, features):
        # Squared together with the values between the outputs, as under encryption.
        hidden = rotate.product(parameters, one, slots, first) ** 2
        results.append(rotate.product(parameters, two, hidden, second))
    logits = unpack(parameters, np.stack(results), n)
    np.testing.assert_allclose(logits, (features @ first) ** 2 @ second, atol=1e-8)
    assert tuple(sorted(rotate.used)) == rotation_steps(parameters)


def test_what_stands_outside_the_hidden_units_does_not_matter() -> None:
    parameters = choose_parameters(384, 10, n_hidden=64, degree=2)
    _, two = layers(parameters)
    random = np.random.default_rng(1)
    hidden, weight = random.normal(size=64), random.normal(size=(64, 10))
    clean = repeat_per_block(parameters, hidden, two.in_offset)
    dirty = np.where(repeat_per_block(parameters, np.ones(64), two.in_offset) == 0, 1e3, clean)
    np.testing.assert_allclose(
        unpack(parameters, Rotations().product(parameters, two, dirty, weight), 1),
        (hidden @ weight)[None],
    )


@given(st.integers(64, 1024), st.integers(2, 200))
def test_the_fold_takes_each_slot_once(n_features: int, n_classes: int) -> None:
    (layer,) = layers(choose_parameters(n_features, n_classes))
    reached = {0}
    for step, times in fold_steps(layer):
        reached |= {slot + turn * step for slot in reached for turn in range(1, times + 1)}
    assert reached == set(range(0, layer.span, layer.outputs))


def test_packing_keeps_documents_apart_and_is_undone_by_unpacking() -> None:
    parameters = choose_parameters(64, 2)
    features = np.arange(40 * 64, dtype=float).reshape(40, 64) + 1
    slots = pack(parameters, features)
    assert slots.shape == (2, 4096)
    assert np.count_nonzero(slots) == features.size
    blocks = unpack(parameters, np.roll(slots, -(parameters.outputs - 1), axis=1), 40)
    np.testing.assert_array_equal(blocks, features[:, :2])


@given(st.integers(1, 9000), seeds)
@settings(max_examples=10)
def test_slot_packing_equals_the_matrix_product(n: int, seed: int) -> None:
    parameters = choose_parameters(64, 3, profile="fast", packing="slot")
    random = np.random.default_rng(seed)
    weight, features = random.normal(size=(64, 3)), random.normal(size=(n, 64))
    slots = pack(parameters, features)
    assert slots.shape == (64 * -(-n // 4096), 2048)
    products = np.concatenate([weight.T @ request for request in slots.reshape(-1, 64, 2048)])
    np.testing.assert_allclose(unpack(parameters, products, n), features @ weight, atol=1e-9)


def test_no_document_makes_no_ciphertext() -> None:
    assert pack(choose_parameters(64, 2), np.empty((0, 64))).shape == (0, 4096)


@pytest.mark.parametrize("shape", [(64,), (3, 63), (3, 65), (1, 3, 64)])
def test_the_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        pack(choose_parameters(64, 2), np.zeros(shape))
