"""The arithmetic of an LSTM's pass over time: its states, and the gradient of its gates' pre-activations.

    i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o)    g = tanh(a_g)    a = W x_t + U h_{t-1} + b
    c_t = f c_{t-1} + i g                                 h_t = o tanh(c_t)

as nn.LSTM computes it (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexveil.privacy.dp.clipping import products

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input
# The kernel's number for the LSTM among its kinds of cells.
_LSTM = 2
# Far above what rounding does to a state, far below what another gate's value would do to it.
_AGREEMENT = 1e-4


@dataclass(frozen=True, slots=True)
class Weights:
    """nn.LSTM's weights of one layer and direction, gates in its order i, f, g, o.

    Attributes:
        input: Input weights, shape (4 hidden, in).
        recurrent: Recurrent weights, shape (4 hidden, hidden).
        bias: Sum of both biases, shape (4 hidden,).
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor


@dataclass(frozen=True, slots=True)
class States:
    """The states of a pass.

    Attributes:
        gates: Gates of each step, shape (time, batch, 4 hidden).
        hidden: Hidden state after each step, shape (time, batch, hidden).
        cells: Cell state after each step, shape (time, batch, hidden).
        before: Hidden state before each step, shape (time, batch, hidden).
    """

    gates: Tensor
    hidden: Tensor
    cells: Tensor
    before: Tensor


def forward(inputs: Tensor, weights: Weights) -> States:
    """Return all states, from zero initial states. Shape of inputs: (time, batch, in), at least one step."""
    return _by_fused_kernel(inputs, weights) or _by_steps(inputs, weights)


def _by_steps(inputs: Tensor, weights: Weights) -> States:
    gates = linear(inputs, weights.input, weights.bias)
    hidden = gates.new_empty(*gates.shape[:2], weights.recurrent.shape[1])
    cells = torch.empty_like(hidden)
    h = c = torch.zeros_like(hidden[0])
    recurrent = weights.recurrent.t()
    for now, h_next, c_next in zip(gates.unbind(0), hidden.unbind(0), cells.unbind(0), strict=True):
        i, f, g, o = now.addmm_(h, recurrent).chunk(4, -1)
        for gate in (i, f, o):
            gate.sigmoid_()
        g.tanh_()
        c = torch.mul(f, c, out=c_next).addcmul_(i, g)
        h = torch.mul(o, c.tanh(), out=h_next)
    return States(gates, hidden, cells, _shift(hidden))


def _by_fused_kernel(inputs: Tensor, weights: Weights) -> States | None:
    """Return what nn.LSTM's own CPU kernel computes, in half the time; None if it is not available.

    For its own backward pass the kernel leaves the gates at the start of a workspace. No interface documents
    this: they are trusted only if they lead to the same states that the kernel returned.
    """
    if not products.can_use_onednn(inputs, weights.input):
        return None
    time, batch, _ = inputs.shape
    width, size = weights.recurrent.shape
    zeros = inputs.new_zeros(batch, size)
    arrays = (inputs.detach(), weights.input, weights.recurrent, weights.bias, torch.zeros_like(weights.bias))
    # The workspace is kept only if gradients are enabled; with detached tensors autograd keeps nothing.
    with torch.enable_grad():
        hidden, last_hidden, last_cell, workspace = torch.ops.aten.mkldnn_rnn_layer(
            *(array.contiguous() for array in arrays),
            zeros,
            zeros,
            reverse=False,
            batch_sizes=[],
            mode=_LSTM,
            hidden_size=size,
            num_layers=1,
            has_biases=True,
            bidirectional=False,
            batch_first=False,
            train=True,
        )
    gates = _gates(workspace, time, batch, width)
    if gates is None:
        return None
    i, f, g, o = gates.chunk(4, -1)
    cells = torch.empty_like(hidden)
    c = zeros
    for *now, c_next in zip(i.unbind(0), f.unbind(0), g.unbind(0), cells.unbind(0), strict=True):
        c = torch.mul(now[1], c, out=c_next).addcmul_(now[0], now[2])
    recomputed = torch.stack([c, o[-1] * c.tanh(), o[0] * cells[0].tanh()])
    returned = torch.stack([last_cell, last_hidden, hidden[0]])
    return (
        States(gates, hidden, cells, _shift(hidden))
        if torch.allclose(recomputed, returned, _AGREEMENT, _AGREEMENT, equal_nan=True)
        else None
    )


def _shift(hidden: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])


def _gates(workspace: Tensor, time: int, batch: int, width: int) -> Tensor | None:
    """Return the gates in the workspace of the kernel; None if its size does not fit.

    Rows are padded to 16 numbers, and by 16 more at a multiple of 256. Shape: (time, batch, width).
    """
    stride = -(-width // 16) * 16
    stride += 16 if stride % 256 == 0 else 0
    numbers = time * batch * stride
    if workspace.dtype != torch.uint8 or workspace.numel() < 4 * numbers:
        return None
    return workspace[: 4 * numbers].view(torch.float32).view(time, batch, stride)[..., :width]


def backward(states: States, recurrent: Tensor, d_hidden: Tensor, d_cells: Tensor | None) -> Tensor:
    """Return delta, the gradient of the gates' pre-activations. Shape: that of the gates.

    Args:
        states: States of the forward pass.
        recurrent: Recurrent weights.
        d_hidden: Gradient with respect to the hidden states, of their shape.
        d_cells: Gradient with respect to the cell states, of their shape; None is zero.
    """
    time, batch, size = d_hidden.shape
    delta, dc_by_dh = _local_derivatives(states)
    by_gate = delta.view(time, batch, 4, size)
    # Unbound once: indexing in the loop would cost more than the arithmetic of a small batch.
    of_dc, of_dh = by_gate[:, :, :3].unbind(0), by_gate[:, :, 3].unbind(0)
    deltas, d_out, by_dh = delta.unbind(0), d_hidden.unbind(0), dc_by_dh.unbind(0)
    forget = states.gates[..., size : 2 * size].unbind(0)
    back = products.pack_weight(recurrent.t(), batch)
    dh, dc = d_out[-1], torch.zeros_like(d_out[-1])
    for t in range(time - 1, -1, -1):
        if t < time - 1:
            dh = products.linear_add(deltas[t + 1], back, d_out[t])
            dc.mul_(forget[t + 1])
        dc.addcmul_(dh, by_dh[t])
        if d_cells is not None:
            dc.add_(d_cells[t])
        of_dc[t].mul_(dc[:, None])
        of_dh[t].mul_(dh)
    return delta


def _local_derivatives(states: States) -> tuple[Tensor, Tensor]:
    """Return everything that does not depend on later steps, for all times at once.

    Returns:
        The effect of each pre-activation on the cell state, or on the hidden state for the output gate, in
        the shape of the gates; and o (1 - tanh(c)^2), the effect of the cell state on the hidden state.
    """
    i, f, g, o = states.gates.chunk(4, -1)
    # 2 sigmoid(2 c) - 1: the logistic function is several times faster than tanh.
    tanh_c = torch.mul(states.cells, 2).sigmoid_().mul_(2).sub_(1)
    effects = torch.empty(states.gates.shape, dtype=tanh_c.dtype, device=tanh_c.device)
    of_i, of_f, of_g, of_o = effects.chunk(4, -1)
    _sigmoid_backward(g, i, grad_input=of_i)
    of_f[0] = 0
    _sigmoid_backward(states.cells[:-1], f[1:], grad_input=of_f[1:])
    _tanh_backward(i, g, grad_input=of_g)
    _sigmoid_backward(tanh_c, o, grad_input=of_o)
    dc_by_dh = torch.empty_like(tanh_c)
    _tanh_backward(o, tanh_c, grad_input=dc_by_dh)
    return effects, dc_by_dh


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply `products.linear` to (time, batch, n), in the layout of the input."""
    if not x.is_contiguous() and x.transpose(0, 1).is_contiguous():
        return linear(x.transpose(0, 1), weight, bias).transpose(0, 1)
    return products.linear(x.flatten(0, 1), weight, bias).unflatten(0, x.shape[:2])
