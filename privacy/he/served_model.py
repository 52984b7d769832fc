"""Models that can be served encrypted: linear heads, and two-layer networks with a polynomial activation.

Public material only: a server holds these records, and passes them to its worker processes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from lexveil.privacy.he.activation import Activation, HeadRefusedError
from lexveil.privacy.he.evaluate import Evaluator, LinearEvaluator, SlotEvaluator
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.network import NetworkEvaluator
from lexveil.privacy.he.parameters import Packing, Parameters, Profile, ShapeRefusedError, choose_parameters

__all__ = [
    "Head",
    "HeadRefusedError",
    "LinearHead",
    "NetworkHead",
    "ServedModel",
    "ShapeRefusedError",
]


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """features @ weight + bias.

    Attributes:
        weight: Shape (n_features, n_classes).
        bias: Shape (n_classes,).
    """

    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.weight.shape[0]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.weight.shape[1]

    def logits(self, features: Floats) -> Floats:
        """Return the logits without encryption. Shapes: (n, n_features) -> (n, n_classes)."""
        return np.asarray(features, np.float64) @ self.weight + self.bias

    def arrays(self) -> tuple[Floats, ...]:
        """Return all weights, in the order of the digest."""
        return self.weight, self.bias


@dataclass(frozen=True, slots=True, eq=False)
class NetworkHead:
    """activation(features @ first_weight + first_bias) @ last_weight + last_bias.

    A normalization before the activation is folded into the first layer.

    Attributes:
        first_weight: Shape (n_features, n_hidden).
        first_bias: Shape (n_hidden,).
        activation: Polynomial between the layers.
        last_weight: Shape (n_hidden, n_classes).
        last_bias: Shape (n_classes,).
    """

    first_weight: Floats = field(repr=False)
    first_bias: Floats = field(repr=False)
    activation: Activation
    last_weight: Floats = field(repr=False)
    last_bias: Floats = field(repr=False)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.first_weight.shape[0]

    @property
    def n_hidden(self) -> int:
        """Number of hidden units."""
        return self.first_weight.shape[1]

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.last_weight.shape[1]

    def hidden(self, features: Floats) -> Floats:
        """Return the inputs of the activation. Shapes: (n, n_features) -> (n, n_hidden)."""
        return np.asarray(features, np.float64) @ self.first_weight + self.first_bias

    def logits(self, features: Floats) -> Floats:
        """Return the logits without encryption. Shapes: (n, n_features) -> (n, n_classes)."""
        return self.activation(self.hidden(features)) @ self.last_weight + self.last_bias

    def arrays(self) -> tuple[Floats, ...]:
        """Return all weights and the activation, in the order of the digest."""
        coefficients = np.array([*self.activation.coefficients, *self.activation.interval])
        return self.first_weight, self.first_bias, coefficients, self.last_weight, self.last_bias


Head = LinearHead | NetworkHead


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A head and how it is served. It can be pickled for a worker process.

    Attributes:
        head: The head.
        profile: `lexveil.privacy.he.evaluate` says what each profile hides.
        max_error: Requested error of a logit before flooding; None for the profile's default
            (`lexveil.privacy.he.parameters`).
        flooding_bits: Requested flooding; None for the profile's default.
    """

    head: Head
    profile: Profile = "sealed"
    max_error: float | None = None
    flooding_bits: int | None = None


def model_parameters(model: ServedModel, packing: Packing = "block") -> Parameters:
    """Return the cheapest set for this head and packing, with its reason.

    Raises:
        ShapeRefusedError: The head cannot be served.
    """
    head = model.head
    network = isinstance(head, NetworkHead)
    return choose_parameters(
        head.n_features,
        head.n_classes,
        n_hidden=head.n_hidden if network else 0,
        degree=head.activation.degree if network else 1,
        profile=model.profile,
        packing=packing,
        max_error=model.max_error,
        flooding_bits=model.flooding_bits,
    )


def supported_packings(model: ServedModel) -> tuple[Packing, ...]:
    """Return the packings of a model.

    `block` always; `slot`, for batches of thousands, for a linear head: there is no set of it for networks.
    """
    return ("block", "slot") if isinstance(model.head, LinearHead) else ("block",)


def build_evaluators(model: ServedModel) -> dict[Packing, Evaluator]:
    """Return the evaluators of a model, with encoded weights.

    A head that only `slot` packing cannot hold (a class without weights, for example) is served by blocks
    alone.

    Raises:
        HeadRefusedError: The weights cannot be served in `block` packing.
        ShapeRefusedError: The shape cannot be served in `block` packing.
    """
    built: dict[Packing, Evaluator] = {"block": build_evaluator(model, "block")}
    for packing in supported_packings(model)[1:]:
        try:
            built[packing] = build_evaluator(model, packing)
        except (HeadRefusedError, ShapeRefusedError):
            continue
    return built


def build_evaluator(model: ServedModel, packing: Packing) -> Evaluator:
    """Return the evaluator of one packing.

    Raises:
        HeadRefusedError: The weights cannot be served.
        ShapeRefusedError: The shape cannot be served.
    """
    chosen, head = model_parameters(model, packing), model.head
    if isinstance(head, NetworkHead):
        first, last = (head.first_weight, head.first_bias), (head.last_weight, head.last_bias)
        return NetworkEvaluator(chosen, first, head.activation, last)
    kind = SlotEvaluator if packing == "slot" else LinearEvaluator
    return kind(chosen, head.weight, head.bias)


def weights_digest(head: Head) -> str:
    """Return the SHA-256 of kind, shapes and weights in float64, hexadecimal: what a manifest commits to."""
    digest = hashlib.sha256(type(head).__name__.encode())
    for array in head.arrays():
        values = np.ascontiguousarray(array, dtype="<f8")
        digest.update(repr(values.shape).encode() + values.tobytes())
    return digest.hexdigest()
