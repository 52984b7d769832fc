"""Conversion of a trained model into a head that can be served encrypted.

The server imports this module, so nothing here creates or reads a key.
"""

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

# The largest logit that every parameter set for networks can represent.
_LARGEST_LOGIT = min(
    2.0 ** (row.magnitude_bits - 1) for (_, _, degree), rows in TABLE.items() if degree > 1 for row in rows
)


def build_head(model: FeatureModel) -> Head:
    """Build the head that the endpoint serves for a model.

    If the logits of a network could exceed what the parameters represent, for some features of norm 1, they
    are divided by a power of two: the predicted labels stay the same, the scores become flatter.
    """
    head = model.head
    if not isinstance(head, PolynomialHead):
        return LinearHead(*_export_layer(head))
    head.fold()
    (first, first_bias), (last, last_bias) = _export_layer(head.first), _export_layer(head.last)
    # By Cauchy-Schwarz, no hidden value of features of norm 1 is larger; this uses no training data.
    farthest = float((np.linalg.norm(first, axis=0) + np.abs(first_bias)).max())
    activation = Activation(head.coefficients(), (-farthest, farthest))
    largest = Bounds(activation, first, first_bias, head.scale * last, last_bias).largest_logit(NORM)
    divisor = 2.0 ** max(0, math.ceil(math.log2(largest / _LARGEST_LOGIT)))
    return NetworkHead(first, first_bias, activation, head.scale / divisor * last, last_bias / divisor)


def _export_layer(layer: nn.Linear) -> tuple[Floats, Floats]:
    """Return the weight, shape (n_in, n_out), and the bias, shape (n_out,), of a layer, in float64."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    return weight.T.astype(np.float64), bias.astype(np.float64)
