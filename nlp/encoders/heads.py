"""Layers between features and logits, and the bounded hidden layer below a linear head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from lexveil.nlp.encoders.config import Activation, Representation
from lexveil.nlp.encoders.public import PublicEncoder
from lexveil.nlp.encoders.representations import compute_public_moments

# Initial coefficients of a cubic, ascending, without a constant: increasing, and curved on both sides.
CUBIC = (0.5, 0.25, 0.05)

# All units share these three weights, so their gradients and their noise are large: without this factor, the
# weights would oscillate.
_POWER_SCALE = 0.1

_POWER_ITERATIONS = 2  # of the search for main directions


class BoundedLayer(nn.Module):
    """Hidden layer with outputs of norm 1: normalize(tanh(W x sqrt(input_dim) + b))."""

    def __init__(self, input_dim: int, hidden: int) -> None:
        super().__init__()
        # Coordinates of unit-norm inputs are about 1/sqrt(input_dim): unscaled, tanh would be linear on them.
        self.scale = input_dim**0.5
        self.linear = nn.Linear(input_dim, hidden)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the hidden values. Shape: (items, input_dim) -> (items, hidden)."""
        return normalize(torch.tanh(self.linear(inputs * self.scale)), dim=1)


class PolynomialHead(nn.Module):
    """last(activation(normalized(first(x)))): the network that is served encrypted, trained as it is served.

    The activation is a polynomial from the start: a square, or a cubic without a constant whose coefficients
    are trained; `relu` is for comparisons only. It is preceded by the normalization of a batch normalization
    layer, but with the mean and variance of *public* text under the current weights: statistics of private
    batches would couple examples and would not be charged to any ledger. `fold` merges the normalization into
    the first layer.

    Attributes:
        activation: Activation between the two layers.
        folded: True once the normalization is part of the first layer.
        scale: Factor on the activated values, which gives them a norm of about 1.
    """

    def __init__(
        self,
        input_dim: int,
        hidden: int,
        labels: int,
        activation: Activation,
        encoder: PublicEncoder,
        representation: Representation = "embedding",
    ) -> None:
        super().__init__()
        self.activation: Activation = activation
        self.folded = False
        self._public = encoder, representation
        self.first = nn.Linear(input_dim, hidden)
        # Features of norm 1 yield hidden values of variance 1. Half of the units are shifted to each side: a
        # square has no slope at its axis.
        nn.init.normal_(self.first.weight)
        nn.init.ones_(self.first.bias)
        with torch.no_grad():
            self.first.bias[::2] = -1.0
        if activation == "cubic":
            # A linear layer over the powers, shared by all units, so that the DP engine can clip it.
            self.powers = nn.Linear(3, 1, bias=False)
            with torch.no_grad():
                self.powers.weight.copy_(torch.tensor([CUBIC]) / _POWER_SCALE)
        # Inputs of the last layer get a norm of about 1, so that noise on its weights does not drown them:
        # .70 instead of .63 micro-F1 on the development part of contract_provisions, at epsilon 8.
        self.scale = 0.5 / hidden**0.5
        self.last = make_zero_layer(hidden, labels)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits. Shape: (items, input_dim) -> (items, labels)."""
        hidden = self.first(features)
        if not self.folded:
            shift, scale = self._normalization()
            hidden = (hidden - shift) * scale
        return self.last(self._activate(hidden) * self.scale)

    @torch.no_grad()
    def start_linear(self, weights: Tensor) -> None:
        """Start as a linear layer, as far as the units can compute one.

        They take the main directions of its weights. A cubic is nearly linear where most hidden values are.
        Two units of the other activations differ by a linear function: (h + 1)^2 - (h - 1)^2 = 4 h, and
        relu(h) - relu(-h) = h. Units that are left over stay random and unused.

        Args:
            weights: Weights of the layer, whose mean over the labels is zero. Shape: (labels, input_dim).
        """
        pairs = self.activation != "cubic"
        count = min(len(self.first.weight) // (2 if pairs else 1), len(weights) - 1)
        main = _find_main_directions(weights, count)
        length = self.first.in_features**0.5  # of random rows
        self.first.weight[:count] = length * main
        deviation = 1 / self._normalization()[1][:count]
        shares = weights @ main.T * deviation / (length * self.scale)
        if self.activation == "cubic":
            self.first.bias[:count] = 0.0
            self.last.weight[:, :count] = shares / self.coefficients()[1]
            return
        square = self.activation == "square"
        both = slice(2 * count)
        self.first.weight[both] = length * torch.cat([main, main if square else -main])
        self.first.bias[both] = torch.cat([deviation, -deviation]) if square else 0.0
        self.last.weight[:, both] = torch.cat([shares, -shares], dim=1) / (4 if square else 1)

    def fold(self) -> None:
        """Merge the normalization into the first layer, permanently. The logits do not change."""
        if self.folded:
            return
        shift, scale = self._normalization()
        with torch.no_grad():
            self.first.weight.mul_(scale[:, None])
            self.first.bias.sub_(shift).mul_(scale)
        self.folded = True

    def coefficients(self) -> tuple[float, ...]:
        """Return the coefficients of the polynomial, in ascending order of the powers."""
        if self.activation == "square":
            return (0.0, 0.0, 1.0)
        return (0.0, *(_POWER_SCALE * float(value) for value in self.powers.weight.detach()[0]))

    def _activate(self, hidden: Tensor) -> Tensor:
        if self.activation == "relu":
            return hidden.clamp(min=0)
        if self.activation == "square":
            return hidden * hidden
        squared = hidden * hidden
        powers = torch.stack([hidden, squared, squared * hidden], dim=-1) * _POWER_SCALE
        return self.powers(powers).squeeze(-1)

    def _normalization(self) -> tuple[Tensor, Tensor]:
        """Return mean and 1 / deviation of public text under the current weights, as constants.

        Shapes: (hidden,), (hidden,).
        """
        weight = self.first.weight.detach()
        mean, covariance = (
            torch.from_numpy(value).to(weight) for value in compute_public_moments(*self._public)
        )
        return weight @ mean, ((weight @ covariance) * weight).sum(dim=1).clamp(min=1e-12).rsqrt()


def _find_main_directions(rows: Tensor, count: int) -> Tensor:
    """Return an orthonormal basis of the main directions of `rows`: (n, width) -> (count, width).

    By a random sketch and power iterations (Halko, Martinsson & Tropp 2011, algorithm 4.4). A smooth function
    of the rows: offices that train together must start alike, and singular vectors may turn freely where
    singular values are close, with the last bit of a row.
    """
    exact = rows.double()
    sketch = torch.randn(count, rows.shape[1], generator=torch.Generator().manual_seed(0)).double()
    for _ in range(_POWER_ITERATIONS):
        sketch = torch.linalg.qr((sketch @ exact.T @ exact).T)[0].T
    basis, triangle = torch.linalg.qr((sketch @ exact.T @ exact).T)
    return (basis * triangle.diagonal().sign()).T.to(rows)


def make_zero_layer(inputs: int, labels: int) -> nn.Linear:
    """Return a linear layer whose weights and bias are zero.

    The first logits are then zero, so the first clipped gradients depend on the labels alone instead of
    correcting a random start, which would cost privacy.
    """
    layer = nn.Linear(inputs, labels)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
