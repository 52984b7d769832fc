"""The encrypted check finds a server that computes something else."""

from __future__ import annotations

import numpy as np
import pytest

from lexveil.pipeline.models.encrypted_check import check_encrypted
from lexveil.privacy.he.served_model import LinearHead, ShapeRefusedError


def head(n_features: int = 96, n_classes: int = 3) -> LinearHead:
    rng = np.random.default_rng(5)
    return LinearHead(rng.normal(size=(n_features, n_classes)), rng.normal(size=n_classes))


def features(n: int, n_features: int = 96) -> np.ndarray:
    rows = np.random.default_rng(6).normal(size=(n, n_features)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("n", [1, 70])
def test_an_honest_server_agrees_within_its_bound(n: int) -> None:
    check = check_encrypted(head(), features(n), "fast")
    assert (check.documents, check.agreement) == (n, 1.0)
    assert 0 < check.max_error <= check.error_bound


def test_shorter_features_have_a_smaller_bound() -> None:
    whole, half = (check_encrypted(head(), scale * features(3), "fast") for scale in (1.0, 0.5))
    assert half.error_bound <= whole.error_bound


def test_another_head_on_the_server_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    served = head()
    inverted = LinearHead(-served.weight, -served.bias)
    monkeypatch.setattr(LinearHead, "logits", lambda _, x: np.asarray(x, np.float64) @ inverted.weight)
    check = check_encrypted(served, features(40), "fast")
    assert check.agreement < 0.5
    assert check.max_error > check.error_bound


def test_a_head_that_no_parameters_fit_is_refused() -> None:
    with pytest.raises(ShapeRefusedError):
        check_encrypted(head(n_features=100_000), features(1, 100_000), "fast")
