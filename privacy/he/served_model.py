"""What can be served encrypted: a linear head, or a two-layer network with the polynomial of its training.

Public material only: a server holds these records, and hands them to its worker processes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lexveil.privacy.he.activation import Activation, HeadRefusedError
from lexveil.privacy.he.evaluate import Evaluator, LinearEvaluator, SlotEvaluator
from lexveil.privacy.he.layout import Floats
from lexveil.privacy.he.network import NetworkEvaluator
from lexveil.privacy.he.parameters import Packing, Parameters, Profile, ShapeRefusedError, choose_parameters

Layout = Literal["block", "slot"]

__all__ = [
    "Head",
    "HeadRefusedError",
    "Layout",
    "LinearHead",
    "NetworkHead",
    "ServedModel",
    "ShapeRefusedError",
]


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """features @ weight + bias. Shapes: weight (n_features, n_classes), bias (n_classes,)."""

    weight: Floats = field(repr=False)
    bias: Floats = field(repr=False)

    @property
    def n_features(self) -> int:
        return self.weight.shape[0]

    @property
    def n_classes(self) -> int:
        return self.weight.shape[1]

    def logits(self, features: Floats) -> Floats:
        """In the plain. Shapes: (n, n_features) -> (n, n_classes)."""
        return np.asarray(features, np.float64) @ self.weight + self.bias

    def arrays(self) -> tuple[Floats, ...]:
        return self.weight, self.bias


@dataclass(frozen=True, slots=True, eq=False)
class NetworkHead:
    """activation(features @ first_weight + first_bias) @ last_weight + last_bias.

    Shapes: first_weight (n_features, n_hidden), first_bias (n_hidden,), last_weight (n_hidden, n_classes),
    last_bias (n_classes,). A normalisation before the activation is folded into the first layer.
    """

    first_weight: Floats = field(repr=False)
    first_bias: Floats = field(repr=False)
    activation: Activation
    last_weight: Floats = field(repr=False)
    last_bias: Floats = field(repr=False)

    @property
    def n_features(self) -> int:
        return self.first_weight.shape[0]

    @property
    def n_hidden(self) -> int:
        return self.first_weight.shape[1]

    @property
    def n_classes(self) -> int:
        return self.last_weight.shape[1]

    def hidden(self, features: Floats) -> Floats:
        """What the activation is given. Shapes: (n, n_features) -> (n, n_hidden)."""
        return np.asarray(features, np.float64) @ self.first_weight + self.first_bias

    def logits(self, features: Floats) -> Floats:
        """In the plain. Shapes: (n, n_features) -> (n, n_classes)."""
        return self.activation(self.hidden(features)) @ self.last_weight + self.last_bias

    def arrays(self) -> tuple[Floats, ...]:
        coefficients = np.array([*self.activation.coefficients, *self.activation.interval])
        return self.first_weight, self.first_bias, coefficients, self.last_weight, self.last_bias


Head = LinearHead | NetworkHead


@dataclass(frozen=True, slots=True, eq=False)
class ServedModel:
    """A head and how it is served. It can be pickled for a worker process.

    profile: `lexveil.privacy.he.evaluate` says what each hides. max_error: asked of a logit before flooding;
    flooding_bits: asked of the flooding; None for the profile's own (`lexveil.privacy.he.parameters`).
    """

    head: Head
    profile: Profile = "sealed"
    max_error: float | None = None
    flooding_bits: int | None = None


def model_parameters(model: ServedModel, layout: Layout = "block") -> Parameters:
    """The cheapest set for this head and layout, with its reason. Raises `ShapeRefusedError`."""
    head = model.head
    network = isinstance(head, NetworkHead)
    packing: Packing = layout
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


def supported_packings(model: ServedModel) -> tuple[Layout, ...]:
    """`block` always; `slot`, for batches of thousands, for a linear head: networks have no set for it."""
    return ("block", "slot") if isinstance(model.head, LinearHead) else ("block",)


def build_evaluators(model: ServedModel) -> dict[Layout, Evaluator]:
    """The evaluators of a model, weights encoded. Raises `HeadRefusedError` or `ShapeRefusedError` for `block`.

    A head that only the `slot` layout cannot hold (a class without weights, say) is served by blocks alone.
    """
    found: dict[Layout, Evaluator] = {"block": build_evaluator(model, "block")}
    for layout in supported_packings(model)[1:]:
        try:
            found[layout] = build_evaluator(model, layout)
        except (HeadRefusedError, ShapeRefusedError):
            continue
    return found


def build_evaluator(model: ServedModel, layout: Layout) -> Evaluator:
    """The evaluator of one layout. Raises `HeadRefusedError` or `ShapeRefusedError`."""
    chosen, head = model_parameters(model, layout), model.head
    if isinstance(head, NetworkHead):
        first, last = (head.first_weight, head.first_bias), (head.last_weight, head.last_bias)
        return NetworkEvaluator(chosen, first, head.activation, last)
    kind = SlotEvaluator if layout == "slot" else LinearEvaluator
    return kind(chosen, head.weight, head.bias)


def weights_digest(head: Head) -> str:
    """SHA-256 of kind, shapes and weights in float64, hexadecimal: what a manifest commits to."""
    digest = hashlib.sha256(type(head).__name__.encode())
    for array in head.arrays():
        values = np.ascontiguousarray(array, dtype="<f8")
        digest.update(repr(values.shape).encode() + values.tobytes())
    return digest.hexdigest()
