"""What is promised: the label of encrypted features is the label of the plain ones, but for ties."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.serving.client import EncryptedClassifier, encrypted_check
from pipeline.serving.server import ServedHead, create_app


@pytest.mark.parametrize(
    ("n_features", "n_classes"), [(64, 2), (256, 10), (384, 20), (384, 83), (1024, 200)], ids=str
)
@pytest.mark.parametrize("scale", [0.05, 1.0, 8.0])
def test_within_the_stated_error(n_features: int, n_classes: int, scale: float) -> None:
    random = np.random.default_rng(n_features + n_classes)
    weight = scale * random.normal(size=(n_features, n_classes))
    bias = random.normal(size=n_classes)
    features = random.normal(size=(17, n_features)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = [f"label {number}" for number in range(n_classes)]

    with EncryptedClassifier.in_process(create_app(ServedHead(weight, bias, labels))) as client:
        predictions = client.classify(features)

    plain = features.astype(np.float64) @ weight + bias
    assert np.abs(predictions.logits - plain).max() <= predictions.error_bound
    # Without the flooding, whose tail is most of it, the bound is below 1e-7.
    assert predictions.error_bound < 2e-2
    chosen = np.array([labels.index(label) for label in predictions.labels])
    distance_from_best = plain.max(axis=1) - plain[np.arange(len(plain)), chosen]
    assert distance_from_best.max() <= 2 * predictions.error_bound


def test_the_check_that_the_main_job_reports() -> None:
    random = np.random.default_rng(5)
    weight, bias = random.normal(size=(384, 4)), random.normal(size=4)
    features = random.normal(size=(30, 384))
    check = encrypted_check(weight, bias, ["a", "b", "c", "d"], features)
    assert check.documents == 30
    assert check.agreement == 1.0
    assert 0 < check.max_error <= check.error_bound
