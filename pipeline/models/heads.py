"""From a trained model to what can be served encrypted. The server imports this: no key is made here."""

from __future__ import annotations

import math

import numpy as np
from torch import nn

from lexveil.nlp.encoders.heads import PolynomialHead
from lexveil.nlp.encoders.models import FeatureModel
from lexveil.privacy.he.activation import Activation
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.network import NORM, Bounds
from lexveil.privacy.he.parameters import TABLE
from lexveil.privacy.he.served_model import Head, LinearHead, NetworkHead

# What every set of the table for networks holds.
_LARGEST_LOGIT = min(
    2.0 ** (row.magnitude_bits - 1) for (_, _, degree), rows in TABLE.items() if degree > 1 for row in rows
)


def head_of(model: FeatureModel) -> Head:
    """The head of a model, as the endpoint serves it.

    A network whose logits could pass what the parameters hold, for some features of norm 1, has them divided
    by a power of two: labels stay what they are, scores become flatter.
    """
    head = model.head
    if not isinstance(head, PolynomialHead):
        return LinearHead(*_layer(head))
    head.fold()
    (first, first_bias), (last, last_bias) = _layer(head.first), _layer(head.last)
    # No hidden value of features of norm 1 lies outside (Cauchy-Schwarz): of the training data none either.
    farthest = float((np.linalg.norm(first, axis=0) + np.abs(first_bias)).max())
    activation = Activation(head.coefficients(), (-farthest, farthest))
    largest = Bounds(activation, first, first_bias, head.scale * last, last_bias).largest_logit(NORM)
    divisor = 2.0 ** max(0, math.ceil(math.log2(largest / _LARGEST_LOGIT)))
    return NetworkHead(first, first_bias, activation, head.scale / divisor * last, last_bias / divisor)


def _layer(layer: nn.Linear) -> tuple[Floats, Floats]:
    """Weight, shape (n_in, n_out), and bias of a layer, in float64."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return weight.T.astype(np.float64), bias.astype(np.float64)
