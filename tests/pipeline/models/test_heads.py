"""What is served is what was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lexveil.nlp.encoders.config import Kind, ModelConfig
from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.pipeline.models.encrypted_check import check_encrypted
from lexveil.pipeline.models.heads import build_head
from lexveil.privacy.he.network import NORM, Bounds
from lexveil.privacy.he.served_model import LinearHead, NetworkHead


class _Public:
    """An encoder as far as a head knows it: moments of public text."""

    digest, dimension = "0" * 64, 96
    public_moments = (np.full(96, 0.02, np.float32), np.eye(96, dtype=np.float32) / 96)


def model_of(kind: Kind, large: float = 1.0) -> FeatureModel:
    config = ModelConfig(
        kind, "0" * 64, 96, 96, ("a", "b", "c"), "classify", 0 if kind == "linear" else 16, 32, 4
    )
    torch.manual_seed(3)
    if kind == "linear":
        head = torch.nn.Linear(96, 3)
    else:
        head = PolynomialHead(96, 16, 3, kind, _Public())  # type: ignore[arg-type]
        torch.nn.init.normal_(head.last.weight, std=large)
        torch.nn.init.normal_(head.last.bias)
    return FeatureModel(config, torch.nn.Identity(), head)


def unit(n: int) -> np.ndarray:
    features = np.random.default_rng(1).normal(size=(n, 96)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["linear", "square", "cubic"])
def test_the_served_head_gives_the_models_logits(kind: Kind) -> None:
    model, features = model_of(kind), unit(20)
    logits = model(torch.from_numpy(features)).detach().numpy()
    head = build_head(model)
    assert isinstance(head, LinearHead if kind == "linear" else NetworkHead)
    np.testing.assert_allclose(head.logits(features), logits, atol=1e-4)
    if isinstance(head, NetworkHead):
        head.activation.require_in_interval(head.hidden(features))


@pytest.mark.parametrize("kind", ["square", "cubic"])
def test_logits_that_could_wrap_are_divided_and_labels_stay(kind: Kind) -> None:
    model, features = model_of(kind, large=300.0), unit(50)
    logits = model(torch.from_numpy(features)).detach().numpy()
    head = build_head(model)
    assert isinstance(head, NetworkHead)
    layers = (head.first_weight, head.first_bias, head.last_weight, head.last_bias)
    assert 128 < Bounds(head.activation, *layers).largest_logit(NORM) <= 256
    assert (head.logits(features).argmax(axis=1) == logits.argmax(axis=1)).all()


@pytest.mark.parametrize("kind", ["linear", "square"])
def test_the_encrypted_check(kind: Kind) -> None:
    check = check_encrypted(build_head(model_of(kind)), unit(9), profile="fast")
    assert check.agreement == 1.0
    assert 0 < check.max_error <= check.error_bound
