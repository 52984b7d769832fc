"""Promise: the label of encrypted features is the label of the plain ones, except for ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lexveil.pipeline.models.encrypted_check import check_encrypted
from lexveil.pipeline.serving.client.classifier import EncryptedClassifier
from lexveil.pipeline.serving.server.app import create_app
from lexveil.pipeline.serving.server.offers import Offer
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead, ServedModel

SQUARE, CUBIC = (0.0, 0.0, 1.0), (0.0, 0.5, 0.25, 0.05)


def unit(random: np.random.Generator, n: int, n_features: int) -> np.ndarray:
    features = random.normal(size=(n, n_features)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def holds(head: Head, features: np.ndarray, layout: str, **how: Any) -> float:
    """Asserts the promise over the protocol; returns the stated error."""
    labels = [f"label {number}" for number in range(head.n_classes)]
    with EncryptedClassifier.in_process(create_app(Offer(ServedModel(head, **how), labels))) as client:
        predictions = client.classify(features)
    plain = head.logits(features)
    assert predictions.layout == layout
    assert np.abs(predictions.logits - plain).max() <= predictions.error_bound
    chosen = np.array([labels.index(label) for label in predictions.labels])
    distance_from_best = plain.max(axis=1) - plain[np.arange(len(plain)), chosen]
    assert distance_from_best.max() <= 2 * predictions.error_bound
    return predictions.error_bound


@pytest.mark.parametrize(("n_features", "n_classes"), [(64, 2), (384, 20), (384, 83), (1024, 200)], ids=str)
@pytest.mark.parametrize("scale", [0.05, 8.0])
def test_linear_heads(n_features: int, n_classes: int, scale: float) -> None:
    random = np.random.default_rng(n_features + n_classes)
    head = LinearHead(scale * random.normal(size=(n_features, n_classes)), random.normal(size=n_classes))
    # Without the flooding, whose tail is most of it, the bound is below 1e-5.
    assert holds(head, unit(random, 17, n_features), "block") < 2e-2


@pytest.mark.parametrize("profile", ["sealed", "fast"])
@pytest.mark.parametrize("coefficients", [SQUARE, CUBIC], ids=["square", "cubic"])
def test_networks(coefficients: tuple[float, ...], profile: Any) -> None:
    random = np.random.default_rng(len(coefficients))
    first, last = random.normal(size=(384, 32)) / 4, random.normal(size=(32, 12)) / 8
    activation = Activation(coefficients, (-9, 9))
    head = NetworkHead(first, random.normal(size=32) / 4, activation, last, random.normal(size=12))
    assert holds(head, unit(random, 9, 384), "block", profile=profile) < 2e-2


def test_one_document_a_slot() -> None:
    random = np.random.default_rng(8)
    head = LinearHead(random.normal(size=(64, 2)), random.normal(size=2))
    holds(head, unit(random, 2100, 64), "slot", profile="fast")


def test_the_check_that_the_main_job_reports() -> None:
    random = np.random.default_rng(5)
    head = LinearHead(random.normal(size=(384, 4)), random.normal(size=4))
    check = check_encrypted(head, random.normal(size=(30, 384)))
    assert check.documents == 30
    assert check.agreement == 1.0
    assert 0 < check.max_error <= check.error_bound
