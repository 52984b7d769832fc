"""Tracing of each kind of layer: its backward pass keeps the tensors from which per-owner gradients are made.

A traced layer computes the same outputs, but with its weights as constants, so that autograd computes no
gradient of the weights.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lexveil.privacy.dp.clipping import lstm
from lexveil.privacy.dp.clipping.factors import Factors, ItemGradients, LayerGradients, TokenGradients
from lexveil.privacy.dp.clipping.products import multiply_rows


class UnsupportedLayerError(ValueError):
    """A trainable parameter, or a coupling of examples, that book-keeping cannot clip.

    Attributes:
        name: Name of the layer in the model.
        layer: Type of the layer.
    """

    def __init__(self, name: str, module: nn.Module, reason: str) -> None:
        super().__init__(
            f"{type(module).__name__} at '{name}': {reason}; train nn.Linear, nn.Embedding, nn.LayerNorm, "
            "RMSNorm and nn.LSTM layers, freeze the rest"
        )
        self.name, self.layer = name, type(module).__name__


@dataclass(frozen=True, slots=True)
class Site:
    """A layer in a model, and the consumer of its gradients.

    Attributes:
        name: Name of the layer in the model.
        module: The layer.
        anchor: Any scalar that requires a gradient: it makes autograd call the backward pass of the first
            layer, whose input needs none.
        keep: Called in the backward pass with the layer's gradients.
    """

    name: str
    module: nn.Module
    anchor: Tensor
    keep: Callable[[LayerGradients], None]

    def parameter_name(self, name: str) -> str:
        """Return the model's name of a parameter; if the layer is the whole model, its own name."""
        return f"{self.name}.{name}".removeprefix(".")

    def trainable_names(self, *names: str) -> tuple[str, ...]:
        """Return the model's names of those parameters that exist and are trainable."""
        return tuple(
            self.parameter_name(name)
            for name in names
            if (parameter := getattr(self.module, name, None)) is not None and parameter.requires_grad
        )

    def make_error(self, reason: str) -> UnsupportedLayerError:
        """Return the error that names this layer."""
        return UnsupportedLayerError(self.name, self.module, reason)


def unsupported_reason(module: nn.Module) -> str | None:
    """Return why a module with trainable parameters cannot be traced; None if it can."""
    # Exact types: a subclass may use its weights other than through forward.
    if type(module) is nn.LSTM:
        return lstm.unsupported_reason(module)
    if type(module) is nn.Embedding and (module.max_norm is not None or module.scale_grad_by_freq):
        return "max_norm and scale_grad_by_freq depend on the whole batch"
    if type(module) in _FORWARD:
        return None
    if _looks_like_rms_norm(module):
        return None if _scales_each_feature(module) else "its weight does not scale a normalized input"
    return "its trainable parameters cannot be clipped per owner"


def make_traced_forward(site: Site) -> Callable[..., Any]:
    """Return a replacement for `site.module.forward`; without gradients it is the module's own."""
    original = site.module.forward
    traced = _FORWARD.get(type(site.module), _other_rms_norm)

    def forward(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return original(*args, **kwargs)
        return traced(site, *args, **kwargs)

    return forward


def _linear(site: Site, inputs: Tensor) -> Tensor:
    module = cast(nn.Linear, site.module)
    bias = cast("Tensor | None", module.bias)
    weights, biases = site.trainable_names("weight"), site.trainable_names("bias")

    def keep(x: Tensor, dy: Tensor) -> None:
        rows = (x.shape[0], math.prod(x.shape[1:-1]))
        delta = dy.reshape(*rows, dy.shape[-1])
        if weights:
            site.keep(Factors(delta, dict.fromkeys(weights, x.reshape(*rows, x.shape[-1])), biases))
        else:
            site.keep(ItemGradients(dict.fromkeys(biases, delta.sum(1))))

    if inputs.dim() < 2:
        raise site.make_error("its input has no dimension of items")
    constant = None if bias is None else bias.detach()
    return _TracedLinear.apply(inputs, site.anchor, module.weight.detach(), constant, keep)


def _embedding(site: Site, ids: Tensor) -> Tensor:
    module = cast(nn.Embedding, site.module)
    if ids.dim() < 1:
        raise site.make_error("its input has no dimension of items")

    def keep(dy: Tensor, ids: Tensor) -> None:
        rows = (ids.shape[0], math.prod(ids.shape[1:]))
        delta = dy.reshape(*rows, dy.shape[-1])
        (name,) = site.trainable_names("weight")
        site.keep(TokenGradients(name, ids.reshape(rows), delta, module.num_embeddings, module.padding_idx))

    return _Tapped.apply(functional.embedding(ids, module.weight.detach()), site.anchor, keep, ids)


def _layer_norm(site: Site, inputs: Tensor) -> Tensor:
    module = cast(nn.LayerNorm, site.module)
    shape, eps = module.normalized_shape, module.eps
    # The bias may be None, although nn.LayerNorm's annotations do not say so.
    weight, bias = module.weight.detach(), cast("Tensor | None", module.bias)
    bias = None if bias is None else bias.detach()
    return _trace_scaled(
        site,
        functional.layer_norm(inputs, shape, weight, bias, eps),
        inputs,
        lambda x: functional.layer_norm(x, shape, None, None, eps),
    )


def _rms_norm(site: Site, inputs: Tensor) -> Tensor:
    module = cast(nn.RMSNorm, site.module)
    shape, eps = list(module.normalized_shape), module.eps
    return _trace_scaled(
        site,
        functional.rms_norm(inputs, shape, module.weight.detach(), eps),
        inputs,
        lambda x: functional.rms_norm(x, shape, None, eps),
    )


def _other_rms_norm(site: Site, inputs: Tensor) -> Tensor:
    module = site.module
    weight = cast(Tensor, module.weight).detach()

    def normalize(x: Tensor) -> Tensor:
        # Some scale by the weight, some by 1 + weight: the difference is the effect of one unit of it.
        one, none = torch.ones_like(weight), torch.zeros_like(weight)
        return _with_weight(module, one)(x) - _with_weight(module, none)(x)

    return _trace_scaled(site, _with_weight(module, weight)(inputs), inputs, normalize)


def _trace_scaled(
    site: Site, outputs: Tensor, inputs: Tensor, normalize: Callable[[Tensor], Tensor]
) -> Tensor:
    """Trace outputs that are normalize(inputs) * weight + bias (+ a constant), feature by feature.

    Each item's gradients are computed immediately: they are as small as the weight.
    """
    weights, biases = site.trainable_names("weight"), site.trainable_names("bias")
    features = cast(Tensor, site.module.weight).dim()
    if outputs.dim() <= features:
        raise site.make_error("its input has no dimension of items")

    def keep(dy: Tensor, x: Tensor) -> None:
        def of_items(values: Tensor) -> Tensor:
            return values.reshape(dy.shape[0], -1, *dy.shape[dy.dim() - features :]).sum(1)

        values = {name: of_items(dy * normalize(x)) for name in weights}
        site.keep(ItemGradients(values | {name: of_items(dy) for name in biases}))

    return _Tapped.apply(outputs, site.anchor, keep, inputs)


def _lstm(site: Site, inputs: Any, hx: Any = None) -> Any:
    module = cast(nn.LSTM, site.module)

    def keep(layer: int, direction: int, trace: lstm.Trace) -> None:
        names = [site.parameter_name(name) for name in lstm.parameter_names(layer, direction)]
        weights = {names[0]: trace.inputs.transpose(0, 1), names[1]: trace.hidden.transpose(0, 1)}
        site.keep(Factors(trace.delta.transpose(0, 1), weights, tuple(names[2:]) if module.bias else ()))

    return lstm.forward(module, inputs, hx, site.anchor, keep)


_FORWARD: Mapping[type[nn.Module], Callable[..., Any]] = {
    nn.Linear: _linear,
    nn.LSTM: _lstm,
    nn.Embedding: _embedding,
    nn.LayerNorm: _layer_norm,
    nn.RMSNorm: _rms_norm,
}


class _TracedLinear(torch.autograd.Function):
    """A linear layer with constant weights; calls `keep(x, dy)` in the backward pass."""

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
        return multiply_rows(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        dy = dy.detach().contiguous()
        ctx.keep(x.detach(), dy)
        if not ctx.needs_input_grad[0]:
            return (None,) * 5
        dx = multiply_rows(dy.view(-1, dy.shape[-1]), weight.t()).view(x.shape)
        return (dx, None, None, None, None)


class _Tapped(torch.autograd.Function):
    """The identity; calls `keep(dy, inputs)` in the backward pass."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, values: Tensor, anchor: Tensor, keep: Callable[[Tensor, Tensor], None], inputs: Tensor
    ) -> Tensor:
        # Saved rather than captured by `keep`: autograd frees it right after the backward pass.
        ctx.save_for_backward(inputs)
        ctx.keep = keep
        return values.view_as(values)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, dy: Tensor
    ) -> tuple[Tensor | None, ...]:
        (inputs,) = ctx.saved_tensors
        ctx.keep(dy.detach(), inputs.detach())
        return (dy if ctx.needs_input_grad[0] else None, None, None, None)


def _looks_like_rms_norm(module: nn.Module) -> bool:
    kind = type(module).__name__
    parameters = dict(module.named_parameters())
    return (
        (kind.endswith("RMSNorm") or kind == "T5LayerNorm")
        and list(parameters) == ["weight"]
        and parameters["weight"].dim() == 1
    )


def _with_weight(module: nn.Module, weight: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the module's own forward with another weight."""
    other = copy.copy(module)
    vars(other)["_parameters"] = {"weight": weight}
    return lambda inputs: type(module).forward(other, inputs)


def _scales_each_feature(module: nn.Module) -> bool:
    """Return True if outputs are affine in the weight, feature by feature, and items do not interact.

    It is tried on a few numbers.
    """
    weight = cast(Tensor, module.weight).detach()
    n = weight.numel()
    x = torch.arange(1.0, 6 * n + 1).sin().to(weight).view(2, 3, n)
    trial = torch.arange(1.0, n + 1).cos().to(weight)
    try:
        with torch.no_grad():
            none, one, some = (
                _with_weight(module, w)(x) for w in (torch.zeros_like(weight), torch.ones_like(weight), trial)
            )
            alone = _with_weight(module, trial)(x[:1])
    except (RuntimeError, TypeError, AttributeError, ValueError):
        return False
    return (
        some.shape == x.shape
        and torch.allclose(some, none + trial * (one - none), rtol=1e-2, atol=1e-2)
        and torch.allclose(alone, some[:1], rtol=1e-2, atol=1e-2)
        and not torch.allclose(one, none)
    )
