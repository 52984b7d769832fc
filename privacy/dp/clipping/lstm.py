"""An LSTM layer whose backward pass keeps the tensors from which per-example gradients are made.

nn.LSTM's fused kernel adds the gradients of all examples and time steps into one matrix, from which no
example's share can be recovered. Here the backward pass keeps delta, the gradient with respect to the gates'
pre-activations: an example's gradient is delta^T x for the input weights, delta^T h for the recurrent
weights, and the sum of delta for each bias. One backward pass gives all of them.

Each direction of each layer is one pass over time; `recurrence` has its arithmetic, and `kernel` the same as
compiled functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lexveil.privacy.dp.clipping import kernel, recurrence


@dataclass(frozen=True, slots=True)
class Trace:
    """The tensors that one backward pass through one direction keeps, all in the same order of time.

    Attributes:
        delta: Gradient of the gates' pre-activations, shape (time, batch, 4 hidden).
        inputs: Inputs, shape (time, batch, in).
        hidden: Hidden state before each step, shape (time, batch, hidden).
    """

    delta: Tensor
    inputs: Tensor
    hidden: Tensor


# Called with the layer, the direction (1 is the reverse) and the trace.
Keep = Callable[[int, int, Trace], None]
# Called with the layer, the direction, inputs and hidden as in `Trace`. The result represents the gates'
# pre-activations, (time, batch, 4 hidden): its values are not used, its gradient will be delta.
Tap = Callable[[int, int, Tensor, Tensor], Tensor]


def parameter_names(layer: int, direction: int) -> tuple[str, str, str, str]:
    """Return nn.LSTM's names of weight_ih, weight_hh, bias_ih and bias_hh of a layer and direction."""
    suffix = f"_l{layer}" + ("_reverse" if direction else "")
    return ("weight_ih" + suffix, "weight_hh" + suffix, "bias_ih" + suffix, "bias_hh" + suffix)


def unsupported_reason(module: nn.LSTM) -> str | None:
    """Return why the module cannot be traced; None if it can."""
    if module.proj_size:
        return "proj_size is not supported"
    if len({p.requires_grad for p in module.parameters()}) > 1:
        return "its parameters must be trainable all or none"
    return None


def forward(
    module: nn.LSTM, inputs: Tensor | PackedSequence, state: object, anchor: Tensor, keep: Keep
) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
    """Return what `module(inputs)` returns, traced: `keep` is called in the backward pass.

    Args:
        module: The layer.
        inputs: See `tapped_forward`.
        state: See `tapped_forward`.
        anchor: Any scalar that requires a gradient: it makes autograd call the backward pass of the first
            layer.
        keep: Called with the layer, the direction (1 is the reverse) and the trace.

    Raises:
        ValueError: As in `tapped_forward`.
    """

    def tap(layer: int, direction: int, x: Tensor, hidden: Tensor) -> Tensor:
        width = 4 * hidden.shape[-1]
        return _Kept.apply(anchor, x, hidden, width, lambda trace: keep(layer, direction, trace))

    return tapped_forward(module, inputs, state, tap)


def tapped_forward(
    module: Any, inputs: Tensor | PackedSequence, state: object, tap: Tap
) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
    """Return what `module(inputs)` returns, with constant weights except for what `tap` does with delta.

    Args:
        module: An nn.LSTM, or an object with its attributes.
        inputs: A padded tensor, batch first or not as the module says, or a PackedSequence.
        state: Must be None: the initial state is zero.
        tap: Called with the layer, the direction, inputs and hidden as in `Trace`. It sees the batch in the
            order of the caller.

    Raises:
        ValueError: An initial state is given, or the inputs have no batch dimension or no time step.
    """
    if state is not None:
        raise ValueError("an initial state is not supported in private training: it must be zero")
    if isinstance(inputs, PackedSequence):
        return _packed(module, inputs, tap)
    if inputs.dim() != 3:
        raise ValueError(f"inputs must have 3 dimensions, found shape {tuple(inputs.shape)}")
    x = inputs.transpose(0, 1) if module.batch_first else inputs
    if not x.shape[0]:
        raise ValueError("inputs must have at least one time step")
    out, last_h, last_c = _layers(module, x, None, tap)
    return (out.transpose(0, 1) if module.batch_first else out), (last_h, last_c)


def _packed(module: Any, packed: PackedSequence, tap: Tap) -> tuple[PackedSequence, tuple[Tensor, Tensor]]:
    # In the order of the caller throughout, so that rows of the traces are rows of the batch.
    x, lengths = pad_packed_sequence(packed, batch_first=True)
    out, last_h, last_c = _layers(module, x.transpose(0, 1), lengths.to(x.device), tap)
    ordered = out if packed.sorted_indices is None else out.index_select(1, packed.sorted_indices)
    rank = torch.arange(out.shape[1], device=out.device)
    valid = rank < packed.batch_sizes.to(out.device)[:, None]
    # Row by row this is the order of the data of a PackedSequence.
    data = ordered[valid]
    result = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return result, (last_h, last_c)


def _layers(module: Any, x: Tensor, lengths: Tensor | None, tap: Tap) -> tuple[Tensor, Tensor, Tensor]:
    last_h: list[Tensor] = []
    last_c: list[Tensor] = []
    for layer in range(module.num_layers):
        if layer and module.dropout and module.training:
            x = functional.dropout(x, module.dropout)
        outs: list[Tensor] = []
        for direction in range(2 if module.bidirectional else 1):
            weights = _read_weights(module, layer, direction)
            tap_here = partial(tap, layer, direction)
            if kernel.takes(x, weights.recurrent.shape[1]):
                steps = kernel.Steps(lengths, bool(direction))
                hidden, cells = _pass(x, weights, steps, tap_here)
                outs.append(hidden)
                last_h.append(hidden[0] if direction else _last(hidden, lengths))
                last_c.append(cells[0] if direction else _last(cells, lengths))
                continue
            ordered = _reverse(x, lengths) if direction else x
            hidden, cells = _pass(ordered, weights, None, tap_here)
            outs.append(_reverse(hidden, lengths) if direction else hidden)
            last_h.append(_last(hidden, lengths))
            last_c.append(_last(cells, lengths))
        x = _join(outs)
    return x, torch.stack(last_h), torch.stack(last_c)


def _join(outs: list[Tensor]) -> Tensor:
    """Return both directions' states (time, batch, n) beside each other, in the layout of the first."""
    if len(outs) == 1:
        return outs[0]
    if outs[0].is_contiguous():
        return torch.cat(outs, -1)
    return torch.cat([out.transpose(0, 1) for out in outs], -1).transpose(0, 1)


def _read_weights(module: Any, layer: int, direction: int) -> recurrence.Weights:
    names = parameter_names(layer, direction)
    values = [getattr(module, name).detach() for name in (names if module.bias else names[:2])]
    bias = values[2] + values[3] if module.bias else values[0].new_zeros(values[0].shape[0])
    return recurrence.Weights(values[0], values[1], bias)


def _reverse(values: Tensor, lengths: Tensor | None) -> Tensor:
    """Return each sequence reversed within its length. Shape: (time, batch, n)."""
    if lengths is None:
        return values.flip(0)
    t = torch.arange(values.shape[0], device=values.device)[:, None]
    source = torch.where(t < lengths, lengths - 1 - t, t)
    return values.gather(0, source[..., None].expand(-1, -1, values.shape[-1]))


def _last(states: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the state after each sequence's last step. Shape: (batch, hidden)."""
    if lengths is None:
        return states[-1]
    return states[lengths - 1, torch.arange(states.shape[1], device=states.device)]


def _pass(
    x: Tensor,
    weights: recurrence.Weights,
    steps: kernel.Steps | None,
    tap: Callable[[Tensor, Tensor], Tensor],
) -> Any:
    """Run one direction of a layer: x (time, batch, in) to hidden and cell states (time, batch, hidden).

    With `steps` by the kernel, else by torch from the first step to the last.
    """
    with torch.no_grad():
        states = recurrence.forward(x, weights) if steps is None else kernel.forward(x, weights, steps)
    tapped = tap(x.detach(), states.before)
    return _Pass.apply(x, tapped, weights, steps, states.gates, states.hidden, states.cells, states.before)


class _Pass(torch.autograd.Function):
    """The states as functions of the inputs and the pre-activations, which both receive their gradient."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        x: Tensor,
        tapped: Tensor,
        weights: recurrence.Weights,
        steps: kernel.Steps | None,
        gates: Tensor,
        hidden: Tensor,
        cells: Tensor,
        before: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(gates, hidden, cells, before)
        ctx.weights, ctx.steps = weights, steps
        ctx.set_materialize_grads(False)
        return hidden, cells

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, d_hidden: Tensor | None, d_cells: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        states = recurrence.States(*(saved.detach() for saved in ctx.saved_tensors))
        weights: recurrence.Weights = ctx.weights
        d_hidden = torch.zeros_like(states.hidden) if d_hidden is None else d_hidden
        if ctx.steps is None:
            delta = recurrence.backward(states, weights.recurrent, d_hidden.contiguous(), d_cells)
        else:
            delta = kernel.backward(states, weights.recurrent, d_hidden, d_cells, ctx.steps)
        d_x = recurrence.linear(delta, weights.input.t()) if ctx.needs_input_grad[0] else None
        return (d_x, delta, *(None,) * 6)


class _Kept(torch.autograd.Function):
    """A placeholder for the pre-activations; calls `keep(trace)` in the backward pass."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, anchor: Tensor, x: Tensor, hidden: Tensor, width: int, keep: Callable[[Trace], None]
    ) -> Tensor:
        # Saved rather than captured by `keep`: autograd frees them right after the backward pass.
        ctx.save_for_backward(x, hidden)
        ctx.keep = keep
        return hidden.new_zeros(()).expand(*hidden.shape[:2], width)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, delta: Tensor
    ) -> tuple[Tensor | None, ...]:
        x, hidden = ctx.saved_tensors
        ctx.keep(Trace(delta.detach(), x, hidden))
        return (None,) * 5
