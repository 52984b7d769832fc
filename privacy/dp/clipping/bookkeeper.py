"""Per-owner clipping by book-keeping: exact owner gradients of ordinary modules from one backward pass.

Each supported layer keeps its inputs and the gradient of its outputs; an owner's gradient is a product of the
two over all of the owner's items (Bu et al. 2023, "Differentially Private Optimization on Large Model at
Small Cost", section 3). To support another kind of layer, trace it into `Factors`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from lexveil.privacy.dp.clipping.factors import (
    Factors,
    InputProducts,
    ItemGradients,
    LayerGradients,
    Owners,
)
from lexveil.privacy.dp.clipping.layers import (
    Site,
    UnsupportedLayerError,
    make_traced_forward,
    unsupported_reason,
)
from lexveil.privacy.dp.clipping.owner_gradients import OwnerGradients, choose_owner_gradients

__all__ = ["BookKeeper", "ClippedSum", "UnsupportedLayerError"]

# Share of the norm that clipping reserves for rounding where sums over owners are in single precision.
ROUNDING = 2.0**-7
# Below it, single-precision factors may vanish.
_SMALLEST_NORM = 1e-12


@dataclass(frozen=True, slots=True)
class ClippedSum:
    """The sum of the owners' clipped gradients.

    Attributes:
        grads: Sum by parameter name, float64, shaped as the parameter.
        norms: Norm of each owner's gradient before clipping, float64, shape (owners,). The norms are
            unprotected and must not be published.
        finite: False for each owner whose gradient is not finite and counted as zero, shape (owners,).
            Unprotected too.
    """

    grads: dict[str, Tensor]
    norms: Tensor
    finite: Tensor


class BookKeeper:
    """Context in which backward passes through `model` leave per-owner gradients to be clipped.

        with BookKeeper(model) as keeper:
            losses = loss(model(inputs), targets)          # (items,)
            losses.sum().backward()
            clipped = keeper.owner_clipped_sum(owner_index, n_owners, max_grad_norm)

    The model is an ordinary module whose trainable parameters all belong to nn.Linear, nn.Embedding,
    nn.LayerNorm, RMSNorm (torch's, and those of Hugging Face that scale by a single weight) or nn.LSTM layers
    (several layers, both directions, batch first or not, dropout, packed or padded, zero initial state);
    frozen parameters may belong to any layer. Dimension 0 (an LSTM's batch dimension) of the inputs of these
    layers must be the items, in the order of the batch: an embedding of positions, which all items share,
    must be frozen. Parameters get no `.grad`; on exit the model is as it was.

    Raises:
        UnsupportedLayerError: On construction, for any other model.
        ValueError: On construction, for a model without a trainable parameter.

    Formal guarantee:
        The sum changes by an L2 norm, over all trainable parameters together, of at most max_grad_norm * (1 +
        1e-6) when an owner is added or removed, whatever the data. An owner whose gradient is infinite or not
        a number, in any layer, adds zero, which is within that bound; a rule decides this that
        depends on nothing but the owner, and its numbers are replaced by zeros before they meet those of
        others. So such an owner changes nothing, and nothing stops: no event tells of it. Norms are those of
        the very numbers that are added, or have their rounding error added to them. In a single-precision
        model owners are clipped to max_grad_norm * (1 - ROUNDING), and the sum is computed so that its
        rounding errors, which depend on who else is in it, use up no more than the rest, provided that
        `parts` is correct (`owner_gradients` has the bound and its source). This holds up to the rounding by
        which the matrix products behind the others' inputs, gradients and norms depend on the size of the
        batch: some 1e-7 of their norms in a single-precision model, 1e-16 in a double-precision one.
        Assumptions: the model treats items independently (batch normalization is refused; a coupling inside a
        custom forward cannot be detected), and so does the loss.
    """

    def __init__(self, model: nn.Module) -> None:
        self._layers = _trainable_layers(model)
        self._parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not self._parameters:
            raise ValueError("the model has no trainable parameter")
        self._single = any(p.dtype != torch.float64 for p in self._parameters.values())
        device = next(iter(self._parameters.values())).device
        self._anchor = torch.zeros((), device=device, requires_grad=True)
        self._kept: dict[tuple[str, ...], list[LayerGradients]] = {}

    def __enter__(self) -> Self:
        for parameter in self._parameters.values():
            parameter.grad = None
        for name, module in self._layers.items():
            module.forward = make_traced_forward(Site(name, module, self._anchor, partial(self._keep, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module in self._layers.values():
            del module.forward
        self._kept.clear()

    def owner_clipped_sum(
        self, owner_index: Tensor, n_owners: int, max_grad_norm: float, parts: int = 1
    ) -> ClippedSum:
        """Clip each owner's summed gradient of the backward passes since the last call, and add the results.

        An owner's gradient is the sum over its items: weight the losses to get a mean.

        Args:
            owner_index: Owner of each item, integers in [0, n_owners). Shape: (items,).
            n_owners: Number of owners.
            max_grad_norm: L2 norm to clip to.
            parts: Number of such sums, in all processes, that are added before the result is released; they
                share the allowance for rounding.

        Raises:
            UnsupportedLayerError: The inputs of a layer were not the items, or its parameter was used outside
                its forward.
            ValueError: The index does not fit the batch, or a number is out of range.

        Formal guarantee:
            That of the class.
        """
        if not 0 < max_grad_norm < math.inf:
            raise ValueError(f"max_grad_norm must be finite and above 0, found {max_grad_norm}")
        if parts < 1:
            raise ValueError(f"parts must be at least 1, found {parts}")
        owners = Owners.from_index(owner_index, n_owners)
        layers, finite = self._collect(owner_index, owners)
        squared = torch.zeros(n_owners, dtype=torch.float64, device=self._anchor.device)
        bounds = squared.clone()
        for layer in layers:
            squared += layer.squared_norms
            bounds += layer.squared_bounds
        limit = self.clipping_limit(max_grad_norm)
        factors = limit / bounds.sqrt().clamp(min=limit)
        mass = math.hypot(*(layer.mass(factors) for layer in layers))
        terms = count_terms(mass, max_grad_norm, parts)
        grads: dict[str, Tensor] = {}
        layers.reverse()
        while layers:
            # One at a time: a layer's tensors are freed as soon as its sum is computed.
            grads |= layers.pop().weighted_sum(factors, terms)
        for name, p in self._parameters.items():
            if name not in grads:
                grads[name] = torch.zeros(p.shape, dtype=torch.float64, device=p.device)
        return ClippedSum(grads, squared.sqrt(), finite)

    def keep_linear_pass(self, inputs: Tensor, delta: Tensor, products: InputProducts | None) -> None:
        """Keep the gradients of a pass through a model that is one linear layer, instead of a backward pass.

        Args:
            inputs: Inputs of the batch, shape (items, in), in the precision of the layer.
            delta: Gradient of the summed loss with respect to the outputs, shape (items, out).
            products: The products of these inputs; None: not known.
        """
        biases = ("bias",) if "bias" in self._parameters else ()
        if "weight" in self._parameters:
            self._keep("", Factors(delta[:, None], {"weight": inputs[:, None]}, biases, products))
        else:
            self._keep("", ItemGradients(dict.fromkeys(biases, delta)))

    def clipping_limit(self, max_grad_norm: float) -> float:
        """Return the norm that owners are clipped to.

        In a single-precision model it is less than `max_grad_norm`, to leave an allowance for rounding.
        """
        return max_grad_norm * (1 - ROUNDING if self._single else 1.0)

    def _keep(self, name: str, kept: LayerGradients) -> None:
        self._kept.setdefault((name, *kept.parameters()), []).append(kept)

    def _collect(self, owner_index: Tensor, owners: Owners) -> tuple[list[OwnerGradients], Tensor]:
        """Return the gradients of each layer, and which owners' are finite; those of all others are zero."""
        kept, self._kept = self._kept, {}
        for name, module in self._layers.items():
            if any(p.grad is not None for p in module.parameters(recurse=False)):
                raise UnsupportedLayerError(
                    name, module, "its parameter was used outside its layer's forward"
                )
        items = owners.index.numel()
        sizes = {use.items for uses in kept.values() for use in uses}
        for (name, *_), uses in kept.items():
            wrong = [use.items for use in uses if use.items != items]
            if wrong and items in sizes:
                reason = (
                    f"its input had {wrong[0]} items in a batch of {items}: dimension 0 must be the items"
                )
                raise UnsupportedLayerError(name, self._layers[name], reason)
            if wrong:
                raise ValueError(f"the model processed {wrong[0]} items, owner_index has {items}")
        joined = [uses[0].join(uses[1:]) for uses in kept.values()]
        layers = [choose_owner_gradients(one, owners) for one in joined]
        finite = torch.ones_like(owners.sizes, dtype=torch.bool)
        for layer in layers:
            finite &= layer.finite
        if not bool(finite.all()):
            others = ~finite[owner_index.long()]
            layers = [choose_owner_gradients(one.without(others), owners) for one in joined]
        return layers, finite


def count_terms(mass: float, max_grad_norm: float, parts: int) -> int:
    """Return how many terms of different owners may be added in single precision.

    With so many, the rounding errors in the sum with an owner and in the one without stay together within
    ROUNDING * max_grad_norm. `mass`: that of all layers together (`OwnerGradients.mass`).
    """
    if not mass or max_grad_norm < _SMALLEST_NORM:
        return 0
    allowance = ROUNDING / 2 * max_grad_norm / parts
    return int(min(allowance / (1.01 * 2.0**-24 * mass), 2**20)) - 3


def _trainable_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with trainable parameters by name.

    Raises:
        UnsupportedLayerError: A layer cannot be clipped.
    """
    layers: dict[str, nn.Module] = {}
    # Counted by module: a module that occurs at two places is one layer, used twice.
    uses = Counter(
        id(p)
        for module in model.modules()
        for _, p in module.named_parameters(recurse=False, remove_duplicate=False)
    )
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or not module.track_running_stats):
            raise UnsupportedLayerError(name, module, "it mixes the examples of a batch")
        trained = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if not trained:
            continue
        reason = unsupported_reason(module)
        if any(uses[id(p)] > 1 for p in trained):
            reason = reason or "it shares a parameter with another layer"
        if "forward" in vars(module):
            reason = reason or "its forward is already replaced"
        if reason is not None:
            raise UnsupportedLayerError(name, module, reason)
        layers[name] = module
    return layers
