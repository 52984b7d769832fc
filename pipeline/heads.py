"""From a trained model to what can be served encrypted, and the check that both classify alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nlp.encoders.models import FeatureModel, PolynomialHead
from privacy.he.activation import Activation
from privacy.he.keys import ClientKeys
from privacy.he.layout import Floats
from privacy.he.parameters import Profile
from privacy.he.served import Head, LinearHead, NetworkHead, ServedModel, evaluator


@dataclass(frozen=True, slots=True)
class EncryptedCheck:
    """Encrypted against plain classification of the same features.

    agreement: share of documents with the same label. max_error: largest absolute error of a logit.
    error_bound: the one that is stated for these features.
    """

    documents: int
    agreement: float
    max_error: float
    error_bound: float


def head_of(model: FeatureModel) -> Head:
    """The head of a model, as the endpoint serves it."""
    head = model.head
    if not isinstance(head, PolynomialHead):
        return LinearHead(*_layer(head))
    head.fold()
    (first, first_bias), (last, last_bias) = _layer(head.first), _layer(head.last)
    # No hidden value of features of norm 1 lies outside (Cauchy-Schwarz): of the training data none either.
    farthest = float((np.linalg.norm(first, axis=0) + np.abs(first_bias)).max())
    activation = Activation(head.coefficients(), (-farthest, farthest))
    return NetworkHead(first, first_bias, activation, last, last_bias)


def encrypted_check(
    head: Head, features: NDArray[np.floating], profile: Profile = "sealed"
) -> EncryptedCheck:
    """Classifies the features encrypted, by what client and server compute, and plain; compares.

    features: shape (n, n_features), of norm 1 at most. Raises ValueError (`HeadRefused`, `ShapeRefused`) for
    a head that cannot be served.
    """
    served = evaluator(ServedModel(head, profile), "block")
    keys = ClientKeys.generate(served.parameters)
    loaded = served.load_keys(keys.evaluation_keys())
    matrix = np.asarray(features, np.float64)
    logits = keys.decrypt([served.evaluate(x, loaded) for x in keys.encrypt(matrix)], len(matrix))
    plain = head.logits(matrix)
    same = plain.argmax(axis=1) == logits.argmax(axis=1)
    norm = float(np.linalg.norm(matrix, axis=1).max())
    error = float(np.abs(plain - logits).max())
    return EncryptedCheck(len(matrix), float(same.mean()), error, served.error_bound(norm))


def _layer(layer: nn.Linear) -> tuple[Floats, Floats]:
    """Weight, shape (n_in, n_out), and bias of a layer, in float64."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return weight.T.astype(np.float64), bias.astype(np.float64)
