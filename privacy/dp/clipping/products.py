"""Matrix products by the faster library: oneDNN if torch was built with it, else torch's own.

On the CPU torch's float32 products use MKL, which runs at half of oneDNN's speed on some processors (105
against 231 GFLOPS, measured on one with AVX-512). nn.LSTM's fused kernel uses oneDNN, so a traced layer must
use it too to keep up.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

# Rows that are multiplied together.
_WINDOW = 16
# Multiples of it are common numbers of rows; a larger product is worth compiling a kernel.
_ROWS, _LARGE = 256, 2**28


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x weight^T + bias, like functional.linear.

    Shapes: x (rows, in), weight (out, in), bias (out,).
    """
    if can_use_onednn(x, weight):
        return torch.ops.mkldnn._linear_pointwise(_dense(x), _dense(weight), bias, "none", [], "")
    return functional.linear(x, weight, bias)


def multiply_rows(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x weight^T + bias for any number of rows. Shapes: those of `linear`.

    oneDNN compiles a kernel for every new shape, which small products must not pay for.
    """
    rows = x.shape[0]
    whole = rows - rows % _ROWS
    if rows * weight.numel() > _LARGE or whole == rows:
        return linear(x, weight, bias)
    rest = functional.linear(x[whole:], weight, bias)
    return torch.cat([linear(x[:whole], weight, bias), rest]) if whole else rest


def pack_weight(weight: Tensor, rows: int) -> Tensor:
    """Return a weight for `linear_add`, in the memory layout of oneDNN for inputs of so many rows.

    It pays off for a weight that is used many times. Without oneDNN the weight is returned unchanged. Shape:
    (out, in).
    """
    if can_use_onednn(weight):
        return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)
    return weight


def linear_add(x: Tensor, weight: Tensor, added: Tensor) -> Tensor:
    """Return x weight^T + added, in one pass.

    Shapes: x (rows, in), weight from `pack_weight`, added (rows, out).
    """
    if weight.is_mkldnn:
        return torch.ops.mkldnn._linear_pointwise.binary(_dense(x), added.contiguous(), weight, None, "add")
    return torch.addmm(added, x, weight.t())


def multiply_transposed(delta: Tensor, x: Tensor) -> Tensor:
    """Return delta^T x. Shapes: delta (rows, out), x (rows, in); result (out, in)."""
    return linear(delta.t(), x.t())


def multiply_following_rows(rows: Tensor, reach: int) -> Tensor:
    """Return the inner products of each row with itself and the following ones; beyond the last, zeros.

    Args:
        rows: Shape (n, width).
        reach: How many rows, itself included.

    Returns:
        Column k holds the product with the k-th row after it. Shape: (n, reach).
    """
    n, width = rows.shape
    blocks = -(-n // _WINDOW)
    padded = rows.new_zeros(blocks * _WINDOW + reach, width)
    padded[:n] = rows
    windows = padded.as_strided((blocks, _WINDOW + reach, width), (_WINDOW * width, width, 1))
    gram = torch.bmm(padded[: blocks * _WINDOW].view(blocks, _WINDOW, width), windows.transpose(1, 2))
    # Row i of a block starts at its own column.
    step = _WINDOW + reach
    return gram.as_strided((blocks, _WINDOW, reach), (_WINDOW * step, step + 1, 1)).reshape(-1, reach)[:n]


def can_use_onednn(*operands: Tensor) -> bool:
    """Return True if oneDNN multiplies these: not empty, float32, on the CPU, and torch was built with it."""
    suitable = all(x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() for x in operands)
    return suitable and _onednn_works()


def _dense(matrix: Tensor) -> Tensor:
    # For any other layout oneDNN has only a reference loop, 2000 times slower.
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()


@cache
def _onednn_works() -> bool:
    """Return True if the operators that torch's compiler emits for oneDNN exist and are correct."""
    try:
        probe = torch.arange(6.0).view(2, 3)
        product = torch.ops.mkldnn._linear_pointwise(probe, probe, None, "none", [], "")
        weight = torch.ops.mkldnn._reorder_linear_weight(probe, 2)
        doubled = torch.ops.mkldnn._linear_pointwise.binary(probe, product, weight, None, "add")
    except (AttributeError, RuntimeError):
        return False
    return torch.equal(product, probe @ probe.t()) and torch.equal(doubled, 2 * product)
