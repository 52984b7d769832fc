"""An LSTM layer whose backward pass keeps what per-example gradients are made of.

nn.LSTM's fused kernel adds the gradients of all examples and time steps into one matrix, from which
nobody's share can be told. Here the backward pass keeps delta, the gradient with respect to the gates'
pre-activations: an example's gradient is delta^T x for the input weights, delta^T h for the recurrent
ones and the sum of delta for each bias. One backward pass gives them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from privacy.dp.products import linear, linear_added


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """One layer's weights, both directions stacked in nn.LSTM's gate order i, f, g, o.

    Shapes: input (directions, 4 hidden, in); recurrent (directions, 4 hidden, hidden);
    bias (directions, 4 hidden).
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class LayerTrace:
    """What one backward pass through a layer leaves, time first, each direction in its own order of time.

    Shapes: delta (directions, time, batch, 4 hidden); inputs (time, batch, in) for each direction;
    hidden, the state before each step, (directions, time, batch, hidden).
    """

    delta: Tensor
    inputs: tuple[Tensor, ...]
    hidden: Tensor


Keep = Callable[[int, LayerTrace], None]


def parameter_names(module: nn.LSTM, layer: int, direction: int) -> tuple[str, str, str, str]:
    """nn.LSTM's names: weight_ih, weight_hh, bias_ih, bias_hh of a layer and direction."""
    suffix = f"_l{layer}" + ("_reverse" if direction else "")
    return ("weight_ih" + suffix, "weight_hh" + suffix, "bias_ih" + suffix, "bias_hh" + suffix)


def check_supported(module: nn.LSTM) -> str | None:
    """Why the module cannot be traced, or None."""
    if module.proj_size:
        return "proj_size is not supported"
    if len({p.requires_grad for p in module.parameters()}) > 1:
        return "its parameters must be trainable all or none"
    return None


def forward(
    module: nn.LSTM, inputs: Tensor | PackedSequence, state: object, anchor: Tensor, keep: Keep
) -> tuple[Tensor | PackedSequence, tuple[Tensor, Tensor]]:
    """What `module(inputs)` returns, traced: `keep(layer, trace)` is called in the backward pass.

    `inputs` is a padded tensor, batch first or not as the module says, or a PackedSequence. `anchor` is
    any scalar that requires a gradient: it makes autograd call the backward pass of the first layer.
    Traces hold the batch in the order of the caller. Raises ValueError for a given initial state or an
    input without batch dimension.
    """
    if state is not None:
        raise ValueError("an initial state is not supported in private training: it must be zero")
    if isinstance(inputs, PackedSequence):
        return _packed(module, inputs, anchor, keep)
    if inputs.dim() != 3:
        raise ValueError(f"inputs must have 3 dimensions, found shape {tuple(inputs.shape)}")
    x = inputs.transpose(0, 1) if module.batch_first else inputs
    out, last_h, last_c = _layers(module, x, None, anchor, keep)
    return (out.transpose(0, 1) if module.batch_first else out), (last_h, last_c)


def _packed(
    module: nn.LSTM, packed: PackedSequence, anchor: Tensor, keep: Keep
) -> tuple[PackedSequence, tuple[Tensor, Tensor]]:
    # In the order of the caller throughout, so that rows of the traces are rows of the batch.
    x, lengths = pad_packed_sequence(packed)
    out, last_h, last_c = _layers(module, x, lengths.to(x.device), anchor, keep)
    ordered = out if packed.sorted_indices is None else out.index_select(1, packed.sorted_indices)
    rank = torch.arange(out.shape[1], device=out.device)
    valid = rank < packed.batch_sizes.to(out.device)[:, None]
    # Row by row this is the order in which a PackedSequence lays out its data.
    data = ordered[valid]
    result = PackedSequence(data, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return result, (last_h, last_c)


def _layers(
    module: nn.LSTM, x: Tensor, lengths: Tensor | None, anchor: Tensor, keep: Keep
) -> tuple[Tensor, Tensor, Tensor]:
    reverse = _reversal(x.shape[0], lengths, x.device) if module.bidirectional else None
    hidden: list[Tensor] = []
    cells: list[Tensor] = []
    for layer in range(module.num_layers):
        if layer and module.dropout and module.training:
            x = functional.dropout(x, module.dropout)
        weights = _weights(module, layer)
        x, last_h, last_c = _TracedLayer.apply(x, anchor, weights, reverse, lengths, keep, layer)
        hidden.append(last_h)
        cells.append(last_c)
    return x, torch.cat(hidden), torch.cat(cells)


def _weights(module: nn.LSTM, layer: int) -> LayerWeights:
    directions = range(2 if module.bidirectional else 1)
    parameters = [
        [
            getattr(module, name).detach()
            for name in parameter_names(module, layer, k)
            if hasattr(module, name)
        ]
        for k in directions
    ]
    recurrent = torch.stack([p[1] for p in parameters])
    bias = [p[2] + p[3] if module.bias else p[1].new_zeros(p[1].shape[0]) for p in parameters]
    return LayerWeights(torch.stack([p[0] for p in parameters]), recurrent, torch.stack(bias))


def _reversal(time: int, lengths: Tensor | None, device: torch.device) -> Tensor:
    """Where each position comes from when each sequence is reversed within its length; its own inverse.

    Shape: (time, batch), or (time,) where all sequences are equally long.
    """
    if lengths is None:
        return torch.arange(time - 1, -1, -1, device=device)
    t = torch.arange(time, device=device)[:, None]
    return torch.where(t < lengths, lengths - 1 - t, t)


def _along_time(values: Tensor, index: Tensor) -> Tensor:
    if index.dim() == 1:
        return values.index_select(0, index)
    return values.gather(0, index[..., None].expand(-1, -1, values.shape[-1]))


class _TracedLayer(torch.autograd.Function):
    """One layer, both directions in one batched product. Inputs (time, batch, in); weights are constants."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        x: Tensor,
        anchor: Tensor,
        weights: LayerWeights,
        reverse: Tensor | None,
        lengths: Tensor | None,
        keep: Keep,
        layer: int,
    ) -> tuple[Tensor, Tensor, Tensor]:
        inputs = (x,) if reverse is None else (x, _along_time(x, reverse))
        gates, hidden, cells, tanh_cells = _recur(inputs, weights)
        ctx.save_for_backward(*inputs, gates, hidden, cells, tanh_cells)
        ctx.weights, ctx.reverse, ctx.lengths, ctx.keep, ctx.layer = weights, reverse, lengths, keep, layer
        ctx.set_materialize_grads(False)
        out = hidden[:, 1:]
        joined = out[0]
        if reverse is not None:
            joined = torch.cat([out[0], _along_time(out[1], reverse)], -1)
        return joined.clone() if reverse is None else joined, _last(hidden, lengths), _last(cells, lengths)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, d_out: Tensor | None, d_last_h: Tensor | None, d_last_c: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        *inputs, gates, hidden, cells, tanh_cells = ctx.saved_tensors
        weights: LayerWeights = ctx.weights
        directions, time, batch, _ = gates.shape
        d_hidden = _split(d_out, ctx.reverse, hidden)
        if d_last_h is not None:
            _add_last(d_hidden, d_last_h, ctx.lengths)
        d_cells = None
        if d_last_c is not None:
            d_cells = torch.zeros_like(cells[:, 1:])
            _add_last(d_cells, d_last_c, ctx.lengths)
        delta = _recur_back(d_hidden, d_cells, gates, cells, tanh_cells, weights.recurrent)
        ctx.keep(ctx.layer, LayerTrace(delta, tuple(x.detach() for x in inputs), hidden[:, :-1]))
        if not ctx.needs_input_grad[0]:
            return (None,) * 7
        flat = torch.bmm(delta.view(directions, time * batch, -1), weights.input)
        d_inputs = flat.view(directions, time, batch, -1)
        d_x = d_inputs[0] if ctx.reverse is None else d_inputs[0] + _along_time(d_inputs[1], ctx.reverse)
        return (d_x, *(None,) * 6)


def _last(states: Tensor, lengths: Tensor | None) -> Tensor:
    """State after each sequence's last step. Shape: (directions, batch, hidden); states[:, 0] is the zero."""
    if lengths is None:
        return states[:, -1].clone()
    return states[:, lengths, torch.arange(states.shape[2], device=states.device)]


def _add_last(gradients: Tensor, added: Tensor, lengths: Tensor | None) -> None:
    if lengths is None:
        gradients[:, -1] += added
    else:
        gradients[:, lengths - 1, torch.arange(gradients.shape[2], device=gradients.device)] += added


def _split(d_out: Tensor | None, reverse: Tensor | None, hidden: Tensor) -> Tensor:
    """Gradient of the output by direction, in the direction's order. (directions, time, batch, hidden)."""
    if d_out is None:
        return torch.zeros_like(hidden[:, 1:])
    if reverse is None:
        return d_out[None].clone()
    forwards, backwards = d_out.chunk(2, -1)
    return torch.stack([forwards, _along_time(backwards, reverse)])


def _recur(inputs: tuple[Tensor, ...], weights: LayerWeights) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gates (directions, time, batch, 4 hidden), states with the zero state first, tanh of the cells.

    The third gate is kept as the logistic function of twice its pre-activation, s: tanh(a) = 2 s - 1, and
    the logistic function is several times faster than tanh here and elsewhere.
    """
    time, batch, _ = inputs[0].shape
    directions, width, size = weights.recurrent.shape
    doubled = torch.ones(width, 1, dtype=inputs[0].dtype, device=inputs[0].device)
    doubled[2 * size : 3 * size] = 2
    recurrent = [w * doubled for w in weights.recurrent]
    projected = [
        linear(x.reshape(time * batch, -1), w * doubled, b * doubled[:, 0]).view(time, batch, width).unbind(0)
        for x, w, b in zip(inputs, weights.input, weights.bias, strict=True)
    ]
    gates = inputs[0].new_empty(directions, time, batch, width)
    hidden = gates.new_empty(directions, time + 1, batch, size)
    cells = torch.empty_like(hidden)
    hidden[:, 0] = 0
    cells[:, 0] = 0
    tanh_cells = gates.new_empty(directions, time, batch, size)
    # Unbound once: indexing within the loop would cost more than the arithmetic of a small batch.
    h, c, tanh_c = hidden.unbind(1), cells.unbind(1), tanh_cells.unbind(1)
    i, f, s, o = (p.unbind(1) for p in gates.chunk(4, -1))
    of_one = [(state.unbind(0), gate.unbind(0)) for state, gate in zip(hidden, gates, strict=True)]
    g = torch.empty_like(h[0])
    for t in range(time):
        for k, (states, steps) in enumerate(of_one):
            torch.sigmoid(linear_added(states[t], recurrent[k], projected[k][t]), out=steps[t])
        torch.mul(s[t], 2, out=g).sub_(1)
        torch.mul(f[t], c[t], out=c[t + 1]).addcmul_(i[t], g)
        torch.mul(c[t + 1], 2, out=tanh_c[t]).sigmoid_().mul_(2).sub_(1)
        torch.mul(o[t], tanh_c[t], out=h[t + 1])
    return gates, hidden, cells, tanh_cells


def _recur_back(
    d_hidden: Tensor,
    d_cells: Tensor | None,
    gates: Tensor,
    cells: Tensor,
    tanh_cells: Tensor,
    recurrent: Tensor,
) -> Tensor:
    """delta, the gradient of the pre-activations. Shape: that of `gates`."""
    time = gates.shape[1]
    delta = torch.empty_like(gates)
    back = [w.t().contiguous() for w in recurrent]
    steps, c, tanh_c = gates.unbind(1), cells.unbind(1), tanh_cells.unbind(1)
    i, f, s, o = (p.unbind(1) for p in gates.chunk(4, -1))
    deltas, dh_out = delta.unbind(1), d_hidden.unbind(1)
    of_one = [(a.unbind(0), b.unbind(0)) for a, b in zip(d_hidden, delta, strict=True)]
    dh = dh_out[-1]
    dc, through = torch.zeros_like(dh), torch.empty_like(dh)
    # The gradient with respect to the gates; its last factor, s (1 - s), is the logistic function's own.
    d_gates = torch.empty_like(steps[0])
    d_i, d_f, d_s, d_o = d_gates.chunk(4, -1)
    nothing = torch.zeros_like(dh)
    for t in range(time - 1, -1, -1):
        if t < time - 1:
            joined = [linear_added(ds[t + 1], back[k], outs[t]) for k, (outs, ds) in enumerate(of_one)]
            dh = torch.stack(joined) if len(joined) > 1 else joined[0][None]
            dc.mul_(f[t + 1])
        if d_cells is not None:
            dc.add_(d_cells[:, t])
        torch.mul(dh, o[t], out=through)
        dc.add_(torch.ops.aten.tanh_backward(through, tanh_c[t]))
        torch.addcmul(dc, dc, s[t], value=-2, out=d_i).neg_()
        torch.mul(dc, c[t], out=d_f)
        torch.addcmul(nothing, dc, i[t], value=4, out=d_s)
        torch.mul(dh, tanh_c[t], out=d_o)
        torch.ops.aten.sigmoid_backward.grad_input(d_gates, steps[t], grad_input=deltas[t])
    return delta
