"""From a trained model to what can be served encrypted. The server imports this: no key is made here."""

from __future__ import annotations

import numpy as np
from torch import nn

from nlp.encoders.models import FeatureModel, PolynomialHead
from privacy.he.activation import Activation
from privacy.he.layout import Floats
from privacy.he.served import Head, LinearHead, NetworkHead


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


def _layer(layer: nn.Linear) -> tuple[Floats, Floats]:
    """Weight, shape (n_in, n_out), and bias of a layer, in float64."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return weight.T.astype(np.float64), bias.astype(np.float64)
