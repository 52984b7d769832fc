"""TODO docstring."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import Activation
from lexveil.nlp.encoders.public import PublicEncoder

# What a cubic's coefficients start from, ascending, without a constant: increasing, and bent on both sides.
CUBIC = (0.5, 0.25, 0.05)

# All units pull at these three numbers, so that their gradients, and their noise, would swing them.
_POWER_SCALE = 0.1


class BoundedLayer(nn.Module):
    """normalize(tanh(W x sqrt(input_dim) + b)): a hidden layer whose output has norm 1."""

    def __init__(self, input_dim: int, hidden: int) -> None:
        super().__init__()
        # Inputs of unit norm have coordinates of about 1/sqrt(input_dim): scaled up, tanh bends them at all.
        self.scale = input_dim**0.5
        self.linear = nn.Linear(input_dim, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        return normalize(torch.tanh(self.linear(inputs * self.scale)), dim=1)


class PolynomialHead(nn.Module):
    """last(activation(normalised(first(x)))): the network that is served encrypted, trained as it is served.

    The activation is a polynomial from the start, a square or a cubic without constant whose coefficients are
    trained; `relu` is for comparison only. Before it stands the normalisation of a batch normalisation, but
    by the mean and variance that *public* text has at the present weights: those of private batches would
    couple examples and be a statistic nobody was charged for. `fold` makes it part of the first layer.
    """

    def __init__(
        self, input_dim: int, hidden: int, labels: int, activation: Activation, encoder: PublicEncoder
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.folded = False
        self._encoder = encoder
        self.first = nn.Linear(input_dim, hidden)
        # Features of norm 1 get hidden values of variance 1. Half of the units lean to each side: a square
        # has a slope only off its axis.
        nn.init.normal_(self.first.weight)
        nn.init.ones_(self.first.bias)
        with torch.no_grad():
            self.first.bias[::2] = -1.0
        if activation == "cubic":
            # A linear layer from the powers, shared by all units, so that the DP engine can clip it.
            self.powers = nn.Linear(3, 1, bias=False)
            with torch.no_grad():
                self.powers.weight.copy_(torch.tensor([CUBIC]) / _POWER_SCALE)
        # So that what the last layer is given has a norm of about 1, and noise on its weights does not drown
        # it: .70 instead of .63 micro-F1 on contract_provisions' development part, at epsilon 8.
        self.scale = 0.5 / hidden**0.5
        self.last = silent_layer(hidden, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Shape: (items, input_dim) -> (items, labels)."""
        hidden = self.first(features)
        if not self.folded:
            shift, scale = self._normalisation()
            hidden = (hidden - shift) * scale
        return self.last(self._activated(hidden) * self.scale)

    def fold(self) -> None:
        """Make the normalisation a part of the first layer, for good: logits stay what they are."""
        if self.folded:
            return
        shift, scale = self._normalisation()
        with torch.no_grad():
            self.first.weight.mul_(scale[:, None])
            self.first.bias.sub_(shift).mul_(scale)
        self.folded = True

    def coefficients(self) -> tuple[float, ...]:
        """Of the polynomial, in ascending order of the powers."""
        if self.activation == "square":
            return (0.0, 0.0, 1.0)
        return (0.0, *(_POWER_SCALE * float(value) for value in self.powers.weight.detach()[0]))

    def _activated(self, hidden: Tensor) -> Tensor:
        if self.activation == "relu":
            return hidden.clamp(min=0)
        if self.activation == "square":
            return hidden * hidden
        squared = hidden * hidden
        powers = torch.stack([hidden, squared, squared * hidden], dim=-1) * _POWER_SCALE
        return self.powers(powers).squeeze(-1)

    def _normalisation(self) -> tuple[Tensor, Tensor]:
        """What public text has at the present weights, as constants: mean, 1 / deviation. (hidden,) each."""
        weight = self.first.weight.detach()
        mean, covariance = (torch.from_numpy(value).to(weight) for value in self._encoder.public_moments)
        return weight @ mean, ((weight @ covariance) * weight).sum(dim=1).clamp(min=1e-12).rsqrt()


def silent_layer(inputs: int, labels: int) -> nn.Linear:
    layer = nn.Linear(inputs, labels)
    # Zero: the first logits say nothing, so the first clipped gradients are about the labels alone instead of
    # undoing a random start, which would cost privacy.
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
