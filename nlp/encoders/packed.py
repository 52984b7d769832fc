"""Linear layers on the processor's fastest kernels: weights laid out once, products in bfloat16 where the
processor multiplies it.

Nine tenths of an encoder's work are linear layers. PyTorch gives those of float32 to MKL, which takes its
slow path on other makers' processors; oneDNN takes none.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

Precision = Literal["bfloat16", "float32"]

# As `torch.cpu.get_capabilities` calls them: AVX-512 and AMX of x86, Neon and SVE of ARM.
_BFLOAT16 = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")

# oneDNN compiles a kernel for each number of rows and keeps a thousand: without rounding these up, half a
# gigabyte, and a millisecond for each that is new.
_ROWS = 64


def arithmetic(precision: Precision) -> torch.dtype:
    """What products of this precision are computed in here: a processor without instructions for bfloat16
    takes float32, which is nearer to the exact result and faster than bfloat16 by emulation."""
    there = cast("dict[str, Any]", torch.cpu.get_capabilities())
    if precision == "bfloat16" and any(there.get(name, False) for name in _BFLOAT16):
        return torch.bfloat16
    return torch.float32


class PackedLinear(nn.Linear):
    """A linear layer whose weights were also laid out for oneDNN, as they are now: don't change them after.

    Input, output and the layer's own weights stay float32, which it shares with the layer it was made of;
    products are of `dtype`, summed up in float32. With gradients on, it is that plain layer.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        has_bias = cast("Tensor | None", linear.bias) is not None
        super().__init__(linear.in_features, linear.out_features, has_bias, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self._bias = linear.bias.detach().to(dtype) if has_bias else None
        self._dtype = dtype
        # inductor's own operators for frozen weights: PyTorch has no public ones that take packed weights.
        self._packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().to(dtype))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, the name that callers of a Linear may use
        """Shape: (..., in_features) -> (..., out_features)."""
        if torch.is_grad_enabled():
            return super().forward(input)
        rows = input.reshape(-1, self.in_features)
        count = len(rows)
        # Empty, not zero: what stands in the rows past the input's own reaches no other row.
        padded = rows.new_empty(-(-count // _ROWS) * _ROWS, self.in_features, dtype=self._dtype)
        padded[:count] = rows
        product = torch.ops.mkldnn._linear_pointwise(padded, self._packed, self._bias, "none", [], "")
        return product[:count].to(input.dtype).view(*input.shape[:-1], self.out_features)


def pack(module: nn.Module, precision: Precision) -> None:
    """Give the linear layers of a model for the CPU their packed form, in place; its parameters stay.

    A build of PyTorch without oneDNN keeps them as they are, in float32.
    """
    if not torch.backends.mkldnn.is_available():
        return
    dtype = arithmetic(precision)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear:
                setattr(parent, name, PackedLinear(child, dtype))
