"""An LSTM for models that Opacus trains, to replace its DPLSTM, which is many times slower.

    model.lstm = OpacusLSTM.from_lstm(model.lstm)   # or OpacusLSTM(...) with nn.LSTM's arguments
    model, optimizer, loader = PrivacyEngine().make_private(module=model, ...)

Opacus computes each layer's per-example gradients from two things: the inputs of the layer, and the gradient
of its outputs. Here such a layer is one direction's weights, its inputs are x_t and h_{t-1} of all steps, and
its outputs represent the gates' pre-activations: so there is one call for all steps, where DPLSTM makes one
per step. Importing this module registers a grad sampler and a norm sampler for that layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, cast

import torch
from opacus.grad_sample import register_grad_sampler, register_norm_sampler
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lexveil.privacy.dp.clipping import lstm
from lexveil.privacy.dp.clipping.products import multiply_transposed

_NAMES = lstm.parameter_names(0, 0)


class GateWeights(nn.Module):
    """One direction's weights of one layer.

    Attributes:
        items: Number of items of the last batch.
        distances: How far its items and time steps are apart in memory.
    """

    def __init__(self, source: nn.LSTM, layer: int, direction: int) -> None:
        super().__init__()
        for name, theirs in zip(_NAMES, lstm.parameter_names(layer, direction), strict=True):
            self.register_parameter(name, getattr(source, theirs, None))

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        """Return zeros that represent the gates' pre-activations and receive their gradients.

        Args:
            x: Inputs, shape (batch, time, in).
            hidden: Hidden state before each step, shape (batch, time, hidden).

        Returns:
            Shape (batch, time, 4 hidden).
        """
        self.items, self.distances = x.shape[0], hidden.stride()[:2]
        return _Preactivations.apply(x, hidden, *self.parameters())


class OpacusLSTM(nn.Module):
    """nn.LSTM for Opacus: same arguments, same results, same `state_dict`.

    It supports several layers, both directions, batch first or not, dropout between layers, and padded or
    packed inputs. The initial state is zero.

    Raises:
        ValueError: On construction, for a projection and for partly frozen parameters.

    Formal guarantee:
        Per-example gradients and norms are exact up to the rounding of the model's own precision, so that the
        guarantee is the one that Opacus gives. Assumption: `GradSampleModule(batch_first=True)`, the default;
        the other is refused in the first backward pass, whichever order this layer's own inputs have.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._take(nn.LSTM(*args, **kwargs))

    @classmethod
    def from_lstm(cls, source: nn.LSTM) -> Self:
        """Return a layer that takes over the parameters of `source`.

        Raises:
            ValueError: As on construction.
        """
        made = cls.__new__(cls)
        nn.Module.__init__(made)
        made._take(source)
        return made.train(source.training)

    def _take(self, source: nn.LSTM) -> None:
        refusal = lstm.unsupported_reason(source)
        if refusal is not None:
            raise ValueError(refusal)
        self.input_size, self.hidden_size = source.input_size, source.hidden_size
        self.num_layers, self.bidirectional = source.num_layers, source.bidirectional
        self.batch_first, self.dropout, self.bias = source.batch_first, source.dropout, source.bias
        directions = 2 if source.bidirectional else 1
        self.passes = nn.ModuleList(
            GateWeights(source, layer, k) for layer in range(source.num_layers) for k in range(directions)
        )
        self.register_state_dict_post_hook(_to_nn_names)
        self.register_load_state_dict_pre_hook(_from_nn_names)

    def direction_weights(self, layer: int, direction: int) -> GateWeights:
        """Return the weights of a layer's direction; 1 is the reverse."""
        return cast(GateWeights, self.passes[layer * (2 if self.bidirectional else 1) + direction])

    def name_pairs(self) -> Iterator[tuple[str, str]]:
        """Yield this module's name of each parameter, and nn.LSTM's."""
        directions = 2 if self.bidirectional else 1
        for n in range(len(self.passes)):
            theirs = lstm.parameter_names(*divmod(n, directions))
            for ours, name in zip(_NAMES[: 4 if self.bias else 2], theirs, strict=False):
                yield f"passes.{n}.{ours}", name

    def forward(
        self, inputs: Tensor | PackedSequence, state: object = None
    ) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
        """Compute the same as `nn.LSTM.forward`.

        Raises:
            ValueError: An initial state is given, or the inputs have no batch dimension.
        """

        def tap(layer: int, direction: int, x: Tensor, hidden: Tensor) -> Tensor:
            weights = self.direction_weights(layer, direction)
            return weights(x.transpose(0, 1), hidden.transpose(0, 1)).transpose(0, 1)

        return lstm.tapped_forward(self, inputs, state, tap)

    def __getattr__(self, name: str) -> Any:
        # nn.LSTM's names of parameters: the traced forward reads them, and users may.
        passes = vars(self).get("_modules", {}).get("passes")
        if passes is not None and name.startswith(("weight_", "bias_")):
            for ours, theirs in self.name_pairs():
                if theirs == name:
                    return self.get_parameter(ours)
        return super().__getattr__(name)


class _Preactivations(torch.autograd.Function):
    """x W^T + h U^T + b + b' to autograd; its values are zeros, because nothing uses them."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, x: Tensor, hidden: Tensor, *weights: Tensor
    ) -> Tensor:
        ctx.save_for_backward(x, hidden)
        ctx.biases = len(weights) - 2
        return hidden.new_zeros(()).expand(*hidden.shape[:2], weights[0].shape[0])

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, delta: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, hidden = ctx.saved_tensors
        rows = delta.flatten(0, 1)
        sums = [multiply_transposed(rows, one.flatten(0, 1)) for one in (x, hidden)]
        return (None, None, *sums, *[rows.sum(0)] * ctx.biases)


@register_grad_sampler(GateWeights)
def gate_grad_samples(
    layer: GateWeights, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Return each example's gradient of each parameter, shape (batch, *parameter)."""
    samples: dict[nn.Parameter, Tensor] = {}
    for parameter, rows in _factors(layer, activations, backprops):
        samples[parameter] = backprops.new_empty(layer.items, *parameter.shape)
        for example, gradient in enumerate(_gradients(backprops, rows)):
            samples[parameter][example] = gradient
    return samples


@register_norm_sampler(GateWeights)
def gate_norm_samples(
    layer: GateWeights, activations: list[Tensor], backprops: Tensor
) -> dict[nn.Parameter, Tensor]:
    """Return the norm of each example's gradient of each parameter, shape (batch,)."""
    norms: dict[nn.Parameter, Tensor] = {}
    for parameter, rows in _factors(layer, activations, backprops):
        norms[parameter] = backprops.new_empty(layer.items)
        for example, gradient in enumerate(_gradients(backprops, rows)):
            norms[parameter][example] = torch.linalg.vector_norm(gradient)
    return norms


def _factors(
    layer: GateWeights, activations: list[Tensor], backprops: Tensor
) -> Iterator[tuple[nn.Parameter, Tensor | None]]:
    """Return each parameter with the rows that delta is multiplied by; None for a bias, which is delta's sum.

    Raises:
        ValueError: The batch is not the first dimension.
    """
    x, hidden = activations
    # Opacus exchanges the first two dimensions of what it kept, even where both have the same size.
    if backprops.shape[0] != layer.items or hidden.stride()[:2] != layer.distances:
        raise ValueError("OpacusLSTM needs GradSampleModule(batch_first=True), whatever its own inputs are")
    return zip(layer.parameters(), (x, hidden, None, None), strict=False)


def _gradients(delta: Tensor, rows: Tensor | None) -> Iterator[Tensor]:
    """Yield the gradients one example at a time: computing a batch of them would evict the cache."""
    if rows is None:
        yield from delta.sum(1)
        return
    for one_delta, one in zip(delta, rows, strict=True):
        yield multiply_transposed(one_delta.contiguous(), one.contiguous())


def _to_nn_names(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for ours, theirs in cast(OpacusLSTM, module).name_pairs():
        if prefix + ours in state:
            state[prefix + theirs] = state.pop(prefix + ours)


def _from_nn_names(module: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    for ours, theirs in cast(OpacusLSTM, module).name_pairs():
        if prefix + theirs in state:
            state[prefix + ours] = state.pop(prefix + theirs)
