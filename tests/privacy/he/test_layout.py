"""The layout against numpy's own product, with rotations of plain vectors in place of ciphertexts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.he.layout import diagonals, fold, multiply, pack, rotation_steps, spread, unpack
from privacy.he.parameters import choose


@settings(max_examples=40, deadline=None)
@given(st.integers(64, 1024), st.integers(2, 200), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_equals_the_matrix_product(n_features: int, n_classes: int, n: int, seed: int) -> None:
    parameters = choose(n_features, n_classes)
    random = np.random.default_rng(seed)
    weight, bias = random.normal(size=(n_features, n_classes)), random.normal(size=n_classes)
    features = random.normal(size=(n, n_features))
    used: set[int] = set()

    def rotate(slots: np.ndarray, step: int) -> np.ndarray:
        used.add(step)
        return np.roll(slots, -step)

    def evaluate(slots: np.ndarray) -> np.ndarray:
        products = multiply(
            parameters, slots, diagonals(parameters, weight), rotate=rotate, times=np.multiply, add=np.add
        )
        return fold(parameters, products, rotate=rotate, add=np.add) + spread(parameters, bias)

    results = np.stack([evaluate(slots) for slots in pack(parameters, features)])
    np.testing.assert_allclose(unpack(parameters, results, n), features @ weight + bias, atol=1e-9)
    assert tuple(sorted(used)) == rotation_steps(parameters)


def test_packing_keeps_documents_apart_and_is_undone_by_unpacking() -> None:
    parameters = choose(64, 2)
    features = np.arange(40 * 64, dtype=float).reshape(40, 64) + 1
    slots = pack(parameters, features)
    assert slots.shape == (2, 4096)
    assert np.count_nonzero(slots) == features.size
    blocks = unpack(parameters, np.roll(slots, -(parameters.outputs - 1), axis=1), 40)
    np.testing.assert_array_equal(blocks, features[:, :2])


def test_no_document_makes_no_ciphertext() -> None:
    assert pack(choose(64, 2), np.empty((0, 64))).shape == (0, 4096)


@pytest.mark.parametrize("shape", [(64,), (3, 63), (3, 65), (1, 3, 64)])
def test_the_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        pack(choose(64, 2), np.zeros(shape))
