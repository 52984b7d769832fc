"""Per-owner clipping by book-keeping: exact owner gradients of ordinary modules from one backward pass.

Each supported layer keeps its inputs and the gradient of its outputs; an owner's gradient is a product
of the two over all of the owner's items (Bu et al. 2023, "Differentially Private Optimization on Large
Model at Small Cost", section 3). Another kind of layer is added by tracing it into `Factors`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from privacy.dp import lstm
from privacy.dp.shares import Factors, Owners, share


class UnsupportedLayer(ValueError):
    """A trainable parameter, or a coupling of examples, that book-keeping cannot clip."""

    def __init__(self, name: str, module: nn.Module, reason: str) -> None:
        super().__init__(
            f"{type(module).__name__} at '{name}': {reason}; train nn.Linear and nn.LSTM, freeze the rest"
        )
        self.name, self.layer = name, type(module).__name__


class NonFiniteGradient(ArithmeticError):
    """An owner's gradient is infinite or not a number. `step` is known to the training loop only."""

    def __init__(self, step: int | None = None) -> None:
        at = "" if step is None else f" at step {step}"
        super().__init__(f"a gradient is not finite{at}: lower the learning rate or check the inputs")
        self.step = step


@dataclass(frozen=True, slots=True)
class ClippedSum:
    """`grads`: parameter name -> sum of the owners' clipped gradients, float64, shaped as the parameter.

    `norms`: each owner's norm before clipping, float64, shape (owners,). Unprotected: it must stay inside.
    """

    grads: dict[str, Tensor]
    norms: Tensor


class BookKeeper:
    """Within the context, backward passes through `model` leave per-owner gradients to be clipped.

        with BookKeeper(model) as keeper:
            losses = loss(model(inputs), targets)          # (items,)
            losses.sum().backward()
            clipped = keeper.owner_clipped_sum(owner_index, n_owners, max_grad_norm)

    The model is an ordinary module whose trainable parameters all lie in nn.Linear and nn.LSTM layers
    (several layers, both directions, batch first or not, dropout, packed or padded, zero initial state);
    frozen parameters may lie anywhere. Dimension 0 (an LSTM's batch dimension) of what these layers see
    must be the items, in the order of the batch. Parameters get no `.grad`; on leaving, the model is as
    it was. Raises UnsupportedLayer on construction for any other model.

    Formal guarantee
    ----------------
    What one owner adds to `owner_clipped_sum` has an L2 norm, over all trainable parameters together, of
    at most max_grad_norm * (1 + 1e-6), whatever the data: the norm is computed in float64 from the very
    numbers that are added, or, where they are never formed, with its rounding error added to it; sums are
    float64. So the sum changes by no more when an owner is added or removed, up to the rounding by which
    the matrix products of the others' gradients depend on the size of the batch (some 1e-7 of their norms
    in a float32 model, 1e-16 in a float64 one). Assumed: the model treats items independently (batch
    normalisation is refused; a coupling inside a custom forward cannot be seen), and so does the loss.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._layers = _trainable_layers(model)
        self._parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        if not self._parameters:
            raise ValueError("the model has no trainable parameter")
        device = next(iter(self._parameters.values())).device
        self._anchor = torch.zeros((), device=device, requires_grad=True)
        self._kept: dict[tuple[str, ...], list[Factors]] = {}

    def __enter__(self) -> Self:
        for parameter in self._parameters.values():
            parameter.grad = None
        for name, module in self._layers.items():
            traced = self._lstm if isinstance(module, nn.LSTM) else self._linear
            module.forward = partial(traced, name, module, module.forward)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for module in self._layers.values():
            del module.forward
        self._kept.clear()

    def owner_clipped_sum(self, owner_index: Tensor, n_owners: int, max_grad_norm: float) -> ClippedSum:
        """Clip each owner's summed gradient of the backward passes since the last call, and add them up.

        `owner_index`: the owner of each item, integers in [0, n_owners), shape (items,). An owner's
        gradient is the sum over its items: weigh the losses where a mean is wanted.

        Raises NonFiniteGradient, and ValueError for an index that does not fit the batch or a parameter
        that was used past its layer's forward.
        """
        if not 0 < max_grad_norm < math.inf:
            raise ValueError(f"max_grad_norm must be finite and above 0, found {max_grad_norm}")
        owners = Owners.of(owner_index, n_owners)
        kept, self._kept = self._kept, {}
        for name, parameter in self._parameters.items():
            if parameter.grad is not None:
                raise ValueError(f"the parameter '{name}' was used past its layer's forward")
        shares = [share(Factors.joined(uses), owners) for uses in kept.values()]
        device = self._anchor.device
        squared = torch.zeros(n_owners, dtype=torch.float64, device=device)
        bound = squared.clone()
        for one in shares:
            squared += one.squared_norms
            bound += one.squared_bounds
        if not bool(torch.isfinite(bound).all()):
            raise NonFiniteGradient
        factors = max_grad_norm / bound.sqrt().clamp(min=max_grad_norm)
        grads = {
            name: torch.zeros(p.shape, dtype=torch.float64, device=p.device)
            for name, p in self._parameters.items()
        }
        for one in shares:
            for name, gradient in one.weighted_sum(factors).items():
                grads[name] += gradient
        return ClippedSum(grads, squared.sqrt())

    def _keep(self, name: str, factors: Factors) -> None:
        self._kept.setdefault((name, *factors.parameters()), []).append(factors)

    def _linear(
        self, name: str, module: nn.Linear, original: Callable[[Tensor], Tensor], inputs: Tensor
    ) -> Tensor:
        if not torch.is_grad_enabled():
            return original(inputs)
        bias = cast("Tensor | None", module.bias)
        constant = None if bias is None else bias.detach()

        def keep(x: Tensor, dy: Tensor) -> None:
            rows = (x.shape[0], -1)
            weights = {f"{name}.weight": x.reshape(*rows, x.shape[-1])} if module.weight.requires_grad else {}
            biases = (f"{name}.bias",) if bias is not None and bias.requires_grad else ()
            self._keep(name, _named(Factors(dy.reshape(*rows, dy.shape[-1]), weights, biases)))

        return _TracedLinear.apply(inputs, self._anchor, module.weight.detach(), constant, keep)

    def _lstm(
        self, name: str, module: nn.LSTM, original: Callable[..., Any], inputs: Any, hx: Any = None
    ) -> Any:
        if not torch.is_grad_enabled():
            return original(inputs, hx)

        def keep(layer: int, trace: lstm.LayerTrace) -> None:
            for k, x in enumerate(trace.inputs):
                names = [f"{name}.{p}" for p in lstm.parameter_names(module, layer, k)]
                weights = {names[0]: x.transpose(0, 1), names[1]: trace.hidden[k].transpose(0, 1)}
                biases = tuple(names[2:]) if module.bias else ()
                self._keep(name, _named(Factors(trace.delta[k].transpose(0, 1), weights, biases)))

        return lstm.forward(module, inputs, hx, self._anchor, keep)


class _TracedLinear(torch.autograd.Function):
    """A linear layer whose weights are constants; `keep(x, dy)` in the backward pass."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        x: Tensor,
        anchor: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        keep: Callable[[Tensor, Tensor], None],
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.keep = keep
        return functional.linear(x, weight, bias)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        ctx.keep(x.detach(), dy.detach())
        return (dy @ weight if ctx.needs_input_grad[0] else None, None, None, None, None)


def _named(factors: Factors) -> Factors:
    # A layer that is itself the model has no name of its own.
    weights = {name.removeprefix("."): x for name, x in factors.weights.items()}
    return Factors(factors.delta, weights, tuple(name.removeprefix(".") for name in factors.biases))


def _trainable_layers(model: nn.Module) -> dict[str, nn.Linear | nn.LSTM]:
    layers: dict[str, nn.Linear | nn.LSTM] = {}
    uses = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or not module.track_running_stats):
            raise UnsupportedLayer(name, module, "it mixes the examples of a batch")
        trained = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if not trained:
            continue
        # Exact types: a subclass may use its weights in another way than through forward.
        if type(module) is nn.LSTM:
            reason = lstm.check_supported(module)
            if reason is not None:
                raise UnsupportedLayer(name, module, reason)
        elif type(module) is not nn.Linear:
            raise UnsupportedLayer(name, module, "its trainable parameters cannot be clipped per owner")
        if any(uses[id(p)] > 1 for p in trained):
            raise UnsupportedLayer(name, module, "it shares a parameter with another layer")
        if "forward" in vars(module):
            raise UnsupportedLayer(name, module, "its forward is replaced already")
        layers[name] = module
    return layers
